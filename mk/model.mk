##@ Prove

DEV_PACKAGES += spin

# In several runs, as all at once would take too much memory.  The call lock:
# one interrupt of three threads; any number of two, with a hook that gets lost;
# waking up without a reason; cycles without progress, without either; and
# leaving that is requested.  The requests of a state: each run without some of
# the threads.  Workers: two tokens; one, and a start of a thread that fails;
# one, when no thread can be started any more; items that compute for long; two
# that are stuck; another number of workers; and cycles.  pan ends with 0 even
# if it has found an error.
MODELS = $(addprefix model-lock-,interrupt lost spurious progress requested) \
         $(addprefix model-requests-,room close workers alone progress) \
         $(addprefix model-park-,two one out compute stuck count cycles)
.PHONY: model $(MODELS)

model: has-spin ## try all interleavings of locks and workers; 7 GB, minutes
	@$(MAKE) --no-print-directory -j2 $(MODELS)

# The model is named by the target.
# $(call CHECK_ALL,options of spin,options of gcc,options of pan)
define CHECK_ALL
@rm -rf build/$@; mkdir -p build/$@; cd build/$@ && \
  spin $(1) -a $(CURDIR)/spec/model/$(word 2,$(subst -, ,$@)).pml && \
  gcc -w -O2 -DCOLLAPSE $(2) -o pan pan.c && \
  ./pan -b -n -m8000000 -w26 $(3) > log && grep 'errors:' log && \
  grep -q 'errors: 0' log && ! grep -q 'not completed' log || \
  { cat log; exit 1; }
endef

model-lock-interrupt:
	$(call CHECK_ALL,-DSPURIOUS=0 -DINTERRUPTS=1 -DMAY_BACK_OFF=false,-DSAFETY)
model-lock-lost:
	$(call CHECK_ALL,-DSPURIOUS=0 -DTHREADS=2 -DLOST=1,-DSAFETY)
model-lock-spurious: ; $(call CHECK_ALL,-DINTERRUPTS=0,-DSAFETY)
model-lock-progress: ; $(call CHECK_ALL,-DSPURIOUS=0 -DINTERRUPTS=0,-DNP,-l -f)

model-lock-requested:
	$(call CHECK_ALL,-DTHREADS=2 -DINTERRUPTS=0 -DREQUESTS=2,-DSAFETY)

model-requests-room: ; $(call CHECK_ALL,-DWORKERS=1 -DCLOSERS=0,-DSAFETY)
model-requests-close:
	$(call CHECK_ALL,-DWORKERS=1 -DOWNERS=0 -DSENDS=1,-DSAFETY)
model-requests-workers:
	$(call CHECK_ALL,-DHAS_QUEUE=false -DSENDS=0,-DSAFETY)
model-requests-alone:
	$(call CHECK_ALL,-DWORKERS=1 -DCALLERS=0 -DCLOSERS=0 -DMONITOR=false \
	  -DOWN_REQUESTS=true,-DSAFETY)
model-requests-progress:
	$(call CHECK_ALL,-DWORKERS=1 -DCALLERS=0 -DCLOSERS=0 -DHAS_QUEUE=false \
	  -DSENDS=1,-DNP -DNFAIR=3,-l -f)

model-park-two: ; $(call CHECK_ALL,,-DSAFETY)
model-park-one: ; $(call CHECK_ALL,-DWANTED=1 -DFAILS=1,-DSAFETY)
model-park-out:
	$(call CHECK_ALL,-DWANTED=1 -DWAITS=2 -DSTICKS=0 -DMAY_RUN_OUT=true,-DSAFETY)
model-park-compute:
	$(call CHECK_ALL,-DWAITS=0 -DCOMPUTES=1 -DENDS=0,-DSAFETY)
model-park-stuck: ; $(call CHECK_ALL,-DWANTED=1 -DWAITS=0 -DSTICKS=2,-DSAFETY)
model-park-count:
	$(call CHECK_ALL,-DTHREADS=2 -DWANTED=1 -DCHANGES=1,-DSAFETY)
model-park-cycles: ; $(call CHECK_ALL,-DWANTED=1,-DNP,-l)
