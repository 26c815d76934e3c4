# Part of "Prove": the module under conditions that no spec makes.

DEV_PACKAGES += g++ dpkg-dev
.PHONY: sweep run-sweep stress foreign

SWEEP = $(patsubst %,$(BUILD)/support/%.so,failmalloc sweephost carray)

# A build of its own, where no message has memory that another one had before.
sweep: ## let each allocation fail (STEP= MODE= N=)
	@$(MAKE) --no-print-directory run-sweep BUILD='$(BUILD)/sweep' \
	  CPPFLAGS='$(CPPFLAGS) -DMTS_NO_BLOCK_CACHE'

# The path of the program is whole, so that dlopen finds it: for what it does
# not find each thread keeps a message, which would count as leaked.
run-sweep: $(MODULE) $(SWEEP)
	@LD_PRELOAD='$(CURDIR)/$(BUILD)/support/failmalloc.so' \
	  "$$(command -v $(LUA))" spec/sweep/sweep.lua \
	  $(if $(STEP),'$(STEP)' $(MODE) $(N))

# What a thread has in malloc's cache would count as leaked.  The second time
# threads dawdle when they have released a mutex.
stress: all $(SUPPORT) ## run random programs for SECONDS=60 each from SEED on
	@for preloaded in '' '$(CURDIR)/$(BUILD)/support/jitter.so'; do \
	  for program in stress tasks; do \
	    GLIBC_TUNABLES=glibc.malloc.tcache_count=0 LD_PRELOAD=$$preloaded \
	      $(RUN) $(LUA) spec/stress/$$program.lua $(or $(SECONDS),60) \
	      $(SEED) || exit; \
	  done; \
	done

# Errors that are C++ exceptions, other number types, programs without some of
# the libraries and more, with Luas built from Debian's source.
foreign: has-g++ ## try Luas built in other ways (KINDS="c++ ...")
	@sh spec/foreign/run.sh $(KINDS)
