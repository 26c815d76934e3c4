# Part of "Prove": the module under conditions that no spec makes.

DEV_PACKAGES += g++ dpkg-dev
.PHONY: sweep stress foreign

SWEEP = $(patsubst %,$(BUILD)/support/%.so,failmalloc sweephost carray)

sweep: $(MODULE) $(SWEEP) ## let each allocation fail (STEP= MODE= N=)
	@LD_PRELOAD='$(CURDIR)/$(BUILD)/support/failmalloc.so' \
	  $(LUA) spec/sweep/sweep.lua $(if $(STEP),'$(STEP)' $(MODE) $(N))

# What a thread has in malloc's cache would count as leaked.
stress: all $(SUPPORT) ## run a random program for SECONDS=60 from SEED on
	@GLIBC_TUNABLES=glibc.malloc.tcache_count=0 \
	  $(RUN) $(LUA) spec/stress/stress.lua $(or $(SECONDS),60) $(SEED)

# Errors that are C++ exceptions, other number types, programs without some of
# the libraries and more, with Luas built from Debian's source.
foreign: has-g++ ## try Luas built in other ways (KINDS="c++ ...")
	@sh spec/foreign/run.sh $(KINDS)
