##@ Prove

DEV_PACKAGES += spin

# In four runs, as all at once would take too much memory: one interrupt of
# three threads; any number of two, with a hook that gets lost; waking up
# without a reason; and cycles without progress, without either.  pan ends with
# 0 even if it has found an error.
MODELS = $(addprefix model-,interrupt lost spurious progress)
.PHONY: model $(MODELS)

model: has-spin ## try all interleavings of the call lock; 7 GB, minutes
	@$(MAKE) --no-print-directory -j2 $(MODELS)

# $(call CHECK_ALL,options of spin,options of gcc,options of pan)
define CHECK_ALL
@rm -rf build/$@; mkdir -p build/$@; cd build/$@ && \
  spin $(1) -a $(CURDIR)/spec/model/lock.pml && \
  gcc -O2 -DCOLLAPSE $(2) -o pan pan.c && \
  ./pan -b -n -m8000000 -w26 $(3) > log && grep 'errors:' log && \
  grep -q 'errors: 0' log && ! grep -q 'not completed' log || \
  { cat log; exit 1; }
endef

model-interrupt:
	$(call CHECK_ALL,-DSPURIOUS=0 -DINTERRUPTS=1 -DMAY_BACK_OFF=false,-DSAFETY)
model-lost: ; $(call CHECK_ALL,-DSPURIOUS=0 -DTHREADS=2 -DLOST=1,-DSAFETY)
model-spurious: ; $(call CHECK_ALL,-DINTERRUPTS=0,-DSAFETY)
model-progress: ; $(call CHECK_ALL,-DSPURIOUS=0 -DINTERRUPTS=0,-DNP,-l -f)
