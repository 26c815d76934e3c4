##@ Test with Lua 5.4 and checks inside

# A sanitizer build is the same build with other flags in a folder of its own:
# asan, tsan, apicheck and valgrind run `make test` again.

DEV_PACKAGES += dpkg-dev valgrind libc6-dbg
PAUSES = build/pauses
.PHONY: asan tsan apicheck valgrind pauses

# $(call SANITIZE,flags,environment,specs): the specs with a Lua 5.4 of our
# own, built from Debian's source with the same flags as the modules, so that
# what is wrong within Lua counts, too.  Each process, also those that specs
# start, writes its reports to a file of its own; none may be there at the end,
# but for notes that a huge block, as some specs want, was not to be had.  Left
# out are large numbers, which would take hours.
LUA_SOURCE = $(CURDIR)/build/lua-source/lua5.4/src
REPORTS    = $(CURDIR)/build/$@/report
define SANITIZE
@rm -f $(REPORTS)*
@$(MAKE) --no-print-directory test BUILD=build/$@ CC=gcc LUA_VERSION=5.4 \
  LUA=$(CURDIR)/build/$@/lua LUA_INCDIR=$(LUA_SOURCE) \
  CFLAGS='$(1)' RUN='$(2)' SPECS='--exclude-tags=numbers $(3) $(SPECS)'; \
status=$$?; ! grep -hsv 'failed to allocate' $(REPORTS)* && exit $$status
endef

$(LUA_SOURCE)/lua.h:
	@sh spec/sanitize/fetch_lua.sh build/lua-source/lua5.4

$(CURDIR)/$(BUILD)/lua: spec/sanitize/program.c $(LUA_SOURCE)/lua.h \
    $(BUILD)/flags
	$(call SAY,CC $(LUA_SOURCE:$(CURDIR)/%=%)/*.c)$(CC) -w -std=gnu99 \
	  -DLUA_USE_LINUX -DLUA_COMPAT_5_3 $(CFLAGS) -o $@ $< \
	  $$(ls $(LUA_SOURCE)/*.c | grep -v luac) -Wl,-E -lm

asan: $(LUA_SOURCE)/lua.h ## run the specs: address, leaks, undefined
	$(call SANITIZE,$(ASAN_FLAGS),$(ASAN_RUN), \
	  $(addprefix --exclude-tags=,fork threadless preload resident switch))

# Undefined behaviour traps, since only address reports go to files.  A signal
# handler on a stack of its own would confuse the check for use after return.
# Left out is what forks while threads run: a lock of the sanitizer's own
# allocator can stay held in the child; what has no memory for a thread: the
# sanitizer itself has none then; libraries that are preloaded: they would stand
# before it; what tells how much memory the process has taken; and what switches
# C stacks, which it does not follow.
ASAN_FLAGS = -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
             -fsanitize-undefined-trap-on-error
ASAN_RUN   = env ASAN_OPTIONS="allocator_may_return_null=1 handle_sigill=1 \
  handle_abort=1 detect_stack_use_after_return=1 use_sigaltstack=0 \
  log_path=$(REPORTS)"

tsan: $(LUA_SOURCE)/lua.h ## run specs of threads: data races, order of locks
	$(call SANITIZE,$(TSAN_FLAGS),$(TSAN_RUN),$(addprefix --exclude-tags=,\
	  race read unjoined fork stack switch count preload keyboard) \
	  $(if $(SPECS),,$(TSAN_SPECS)))

# ThreadSanitizer hands a signal to its handler when the thread does something
# that it sees.  A loop in Lua does not, unless Lua's looks at its hook are
# atomic; without that no interrupt would arrive by signal (core/interrupt.c).
# And gcc 12 does not know _longjmp: each error would leave calls on its shadow
# stack until that overflows into other memory.  Left out is what sets a hook
# from outside on purpose, a read that waits: no signal would get through, a
# process that luv ends while another thread runs, threads after fork, what has
# to do with a small C stack, as its frames are much larger, or with two, what
# counts threads, as it has one of its own, or makes a thousand of them,
# libraries that are preloaded: they would stand before it; and SIGINT, which
# another thread than the main one can get here: the handler of lua.c is made
# for that one.
# What runs on one thread is left to the other builds.
TSAN_FLAGS = -g -O1 -fsanitize=thread "-Dl_signalT=_Atomic(int)" \
             -D_longjmp=longjmp
TSAN_SPECS = $(patsubst %,-p %.*_spec,cancel_ capi close deadlock deferred \
  each fork_ futures here_ interrupt lock_ lookup_wait luv map_ named_states \
  nesting notify own_thread ownership pool promise queue quit receiver \
  requests_ room services signals singleton sleep stats task thread timer \
  trace watch workers)
TSAN_RUN   = env TSAN_OPTIONS="allocator_may_return_null=1 handle_abort=1 \
  suppressions=$(CURDIR)/spec/sanitize/tsan.supp log_path=$(REPORTS)"

# LUAI_ASSERT has the core of Lua check itself, HARDMEMTESTS collect whenever
# it could.  Not so its auxiliary library (lua_assert), since luv misuses the
# buffers there, and not the main state of a program, or else busted would take
# hours: only states and threads collect all the time.  Left out are specs of
# the collector, of finalizers that enlarge the stack (Lua 5.4.4 goes on with the
# old one there), and what that makes quadratic: endless recursion.
apicheck: $(LUA_SOURCE)/lua.h ## run the specs: use of Lua, collecting always
	$(call SANITIZE,$(APICHECK_FLAGS),$(APICHECK_RUN),--exclude-tags=collector \
	  --filter-out=endless.recursion)

APICHECK_FLAGS = -g -O1 -DLUA_USE_APICHECK -DLUAI_ASSERT -DHARDMEMTESTS \
                 "-Dlua_assert(c)"
APICHECK_RUN   = env SLOWNESS=10 LUA_INIT="collectgarbage[[stop]]"

# Some minutes.  Both look into all processes that specs start, be it a
# compiler, so only specs that start none or small ones are run.  valgrind dies
# if it needs more stack to deliver a signal; code that is hard to parse has
# had that stack before.
valgrind: has-valgrind $(LUA_SOURCE)/lua.h ## run most specs: memory, locks
	$(call SANITIZE,$(VALGRIND_FLAGS),$(MEMCHECK),$(VALGRIND_SPECS))
	$(call SANITIZE,$(VALGRIND_FLAGS),$(HELGRIND),$(VALGRIND_SPECS))

VALGRIND_FLAGS = -g -O1 -include spec/sanitize/atomics.h
VALGRIND_SPECS = $(addprefix --exclude-tags=,rlimit race fork preload) \
                 $(addprefix -p ,call_ capi carray close deadlock interrupt \
                   libs lookup memory nesting notify ownership receiver \
                   singleton threads)
VALGRIND       = env LUA_INIT="load(([[(]]):rep(190))" \
                   valgrind --quiet --fair-sched=yes --trace-children=yes \
                   --error-exitcode=66 --log-file=$(REPORTS).%p
MEMCHECK       = $(VALGRIND) --leak-check=full --show-leak-kinds=definite \
                   --errors-for-leak-kinds=definite
HELGRIND       = $(VALGRIND) --tool=helgrind \
                   --suppressions=$(CURDIR)/spec/sanitize/helgrind.supp

# Here nothing inside checks; the specs do, while the module's threads dawdle.
# Left out is what counts the calls of the kernel: a pause is one.
pauses: $(PAUSES)/pauses.o ## run the specs while threads pause anywhere
	@$(MAKE) --no-print-directory test BUILD=$(PAUSES)/$(LUA_VERSION) CC=gcc \
	  LUA_VERSION=$(LUA_VERSION) LDFLAGS='$(CURDIR)/$(PAUSES)/pauses.o' \
	  CFLAGS='-g -O1 -fsanitize-coverage=trace-pc' \
	  SPECS='--exclude-tags=numbers --exclude-tags=preload $(SPECS)'

# What was linked with an older one is made anew.
$(PAUSES)/pauses.o: spec/sanitize/pauses.c
	@mkdir -p $(@D)
	@rm -f $(@D)/*/flags
	@$(CC) -O2 -fPIC -c -o $@ $<
