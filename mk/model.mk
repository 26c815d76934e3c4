##@ Prove

DEV_PACKAGES += spin

# In several runs, as all at once would take too much memory.  The call lock:
# one interrupt of three threads; any number of two, with a hook that gets lost;
# waking up without a reason; cycles without progress, without either; and
# leaving that is requested.  The requests of a state: each run without some of
# the threads.  Workers: two tokens; one, and a start of a thread that fails;
# one, when no thread can be started any more; items that compute for long; two
# that are stuck; another number of workers; and cycles.  Waits: two cancels; a
# cancel and closing; promises.  Tasks: one cancel; two; a cancel and closing;
# closing and timers; what closes when all is done; room, and one task at once.
# Timers: one worker, that ends or does not; two.  Closing: by the thread of the
# state; by a worker, with two closers, or an owner, too; and without a last
# function.  Notices: of one state; of two.  Pools: a call; a line, with calls
# of a member, or with requests; requests alone.  Time limits: with clean-up;
# without.  Tracebacks: one asker; two.
MODELS = $(addprefix model-lock-,interrupt lost spurious progress requested) \
         $(addprefix model-requests-,room close workers alone progress) \
         $(addprefix model-park-,two one out compute stuck count cycles) \
         $(addprefix model-wait-,cancel close promise) \
         $(addprefix model-task-,cancel cancels close closing finish unowned \
           room limit) \
         $(addprefix model-timer-,one kept two) \
         $(addprefix model-close-,own owned closers worker plain) \
         $(addprefix model-here-,polls waits both) \
         $(addprefix model-notices-,one two) \
         $(addprefix model-pool-,call line requests shared) \
         $(addprefix model-timelimit-,clean over) \
         $(addprefix model-traceback-,one two) model-waitgraph-all \
         model-knot-all
.PHONY: model model-new renew-steps $(MODELS)

model: has-spin ## try all interleavings of locks and workers; 7 GB, minutes
	@$(MAKE) --no-print-directory -j2 $(MODELS)

model-new: has-spin ## the same of what has changed since it was proven
	@NEW=1 $(MAKE) --no-print-directory -j2 $(MODELS)
	@for run in $(MODELS); do \
	  grep -q "^$$run " spec/model/proven || \
	    { echo "$$run: not in spec/model/proven"; exit 1; }; \
	done
	@echo "$(words $(MODELS)) runs are proven"

# For who has compared model and code.
renew-steps: ## note the functions of the models as they are (STEPS="...")
	@$(LUA) spec/model/steps.lua renew $(STEPS)

# The model is named by the target.
# $(call CHECK_ALL,options of spin,options of gcc,options of pan)
CHECK_ALL = @sh spec/model/check.sh $@ '$(1)' '$(2)' '$(3)'

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

model-wait-cancel:
	$(call CHECK_ALL,-DCANCELS=2 -DPROMISES=1 -DPROMISE_CANCELS=0 -DWAITERS=0 \
	  -DCLOSERS=0,-DSAFETY)
model-wait-close:
	$(call CHECK_ALL,-DCANCELS=1 -DPROMISES=1 -DPROMISE_CANCELS=0 \
	  -DWAITERS=0,-DSAFETY)
model-wait-promise:
	$(call CHECK_ALL,-DCANCELS=0 -DCLOSERS=0 -DOPERATIONS=1,-DSAFETY)

model-task-cancel: ; $(call CHECK_ALL,,-DSAFETY)
model-task-cancels:
	$(call CHECK_ALL,-DCANCELS=2 -DDEADLINES=0 -DOPERATIONS=1,-DSAFETY)
model-task-close: ; $(call CHECK_ALL,-DCLOSERS=1 -DOPERATIONS=1,-DSAFETY)
model-task-closing: ; $(call CHECK_ALL,-DCLOSERS=1 -DCANCELS=0,-DSAFETY)
model-task-finish:
	$(call CHECK_ALL,-DFINISHERS=1 -DCANCELS=0 -DDEADLINES=0,-DSAFETY)
model-task-unowned:
	$(call CHECK_ALL,-DOWNERS=1 -DCANCELS=0 -DDEADLINES=0,-DSAFETY)
model-task-room: ; $(call CHECK_ALL,-DROOM=2 -DCANCELS=0,-DSAFETY)
model-task-limit: ; $(call CHECK_ALL,-DLIMIT=1 -DDEADLINES=0,-DSAFETY)

model-timer-one: ; $(call CHECK_ALL,-DWORKERS=1,-DSAFETY)
model-timer-kept: ; $(call CHECK_ALL,-DWORKERS=1 -DENDS=0,-DSAFETY)
model-timer-two: ; $(call CHECK_ALL,-DADDERS=0,-DSAFETY)

model-close-own: ; $(call CHECK_ALL,-DOWN=1 -DOWNERS=0,-DSAFETY)
model-close-owned: ; $(call CHECK_ALL,-DOWN=1 -DCLOSERS=1,-DSAFETY)
model-close-closers: ; $(call CHECK_ALL,-DOWNERS=0 -DSENDS=1,-DSAFETY)
model-close-worker: ; $(call CHECK_ALL,-DCLOSERS=1,-DSAFETY)
model-close-plain: ; $(call CHECK_ALL,-DLAST=0 -DCLOSERS=1,-DSAFETY)

model-here-polls: ; $(call CHECK_ALL,-DWAITS=0,-DSAFETY)
model-here-waits: ; $(call CHECK_ALL,-DPOLLS=0,-DSAFETY)
model-here-both: ; $(call CHECK_ALL,-DSENDERS=3,-DSAFETY)

model-notices-one: ; $(call CHECK_ALL,-DSTATES=1,-DSAFETY)
model-notices-two:
	$(call CHECK_ALL,-DNOTIFIERS=3 -DNOTICES=1 -DWORKERS=1,-DSAFETY)

model-pool-call: ; $(call CHECK_ALL,-DREQUESTS=1,-DSAFETY)
model-pool-line:
	$(call CHECK_ALL,-DCALLERS=2 -DSENDERS=0 -DWORKERS=0,-DSAFETY)
model-pool-requests:
	$(call CHECK_ALL,-DCALLERS=2 -DREQUESTS=1 -DWORKERS=1 -DDIRECT=0,-DSAFETY)
model-pool-shared:
	$(call CHECK_ALL,-DCALLERS=0 -DSENDERS=2 -DREQUESTS=1 -DOWN=1,-DSAFETY)

model-traceback-one: ; $(call CHECK_ALL,-DASKERS=1 -DSTEPS=4,-DSAFETY)
model-traceback-two: ; $(call CHECK_ALL,-DSTEPS=1,-DSAFETY)
model-timelimit-clean: ; $(call CHECK_ALL,,-DSAFETY)
model-timelimit-over: ; $(call CHECK_ALL,-DCLEANS=0 -DCALLS=3,-DSAFETY)

model-waitgraph-all: ; $(call CHECK_ALL,-DWAITS=2,-DSAFETY)
model-knot-all: ; $(call CHECK_ALL,-DWAITS=3,-DSAFETY)
