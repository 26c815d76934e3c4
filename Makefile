# mtstates: build, test, check and install.  `make help` lists the targets.
#
# Everything built for one Lua version goes to build/<version>.  A sanitizer
# build is the same build with other flags in a folder of its own: asan, tsan,
# apicheck and valgrind run this Makefile's `test` again.

# What test, lint and cross-check go through: LUA_VERSION if it is given, the
# default version if LUA or LUA_INCDIR is, else all that Debian 12 has.
VERSIONS    := $(or $(LUA_VERSION),$(if $(LUA)$(LUA_INCDIR),5.4),$\
                 5.1 5.2 5.3 5.4 jit)

LUA_VERSION ?= 5.4
ifeq ($(filter $(LUA_VERSION),5.1 5.2 5.3 5.4 5.5 jit),)
$(error LUA_VERSION is 5.1, 5.2, 5.3, 5.4, 5.5 or jit)
endif
LUA         ?= lua$(LUA_VERSION)
LUA_INCDIR  ?= $(patsubst -I%,%,$(firstword $(LUA_PKGCONFIG) \
                 /usr/include/lua$(LUA_VERSION:jit=jit-2.1)))
PREFIX      ?= /usr/local
INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_ABI)
CFLAGS      ?= -O2
LIBFLAG     ?= $(or $(LIBFLAG_$(shell uname)),-shared)
BUILD       ?= build/$(LUA_VERSION)

# LuaJIT loads the modules of Lua 5.1.
LUA_ABI        = $(LUA_VERSION:jit=5.1)
LIBFLAG_Darwin = -bundle -undefined dynamic_lookup

# A luarocks tree that has busted and luv, if they are no Debian packages.
ifdef ROCKS
ROCKS_PATH  = $(ROCKS)/share/lua/$(LUA_ABI)/?.lua;$\
              $(ROCKS)/share/lua/$(LUA_ABI)/?/init.lua;
ROCKS_CPATH = $(ROCKS)/lib/lua/$(LUA_ABI)/?.so;
BUSTED     ?= $(wildcard $(ROCKS)/lib/luarocks/rocks-$(LUA_ABI)/busted/*/$\
                bin/busted)
endif

# Looked up when used, not before: `make deps test` may just have installed
# what is looked for.
LUA_PKGCONFIG = $(shell pkg-config --cflags-only-I lua$(LUA_VERSION) \
                  2>/dev/null)
BUSTED       ?= $(firstword $(wildcard /usr/bin/busted) \
                  $(shell command -v busted))

# mtstates-scm-0.rockspec has the same list; `make lint` compares the two.
SOURCES = src/async_util.c src/capi/notify.c src/capi/receiver.c \
          src/core/anchor.c src/core/call.c src/core/coroutine.c \
          src/core/hook.c src/core/interrupt.c src/core/lock.c \
          src/core/lockqueue.c src/core/newstate.c src/core/preload.c \
          src/core/registry.c src/core/signal.c src/core/statetable.c \
          src/core/thread.c src/core/waitgraph.c src/core/watch.c src/error.c \
          src/lua/errorobject.c src/lua/gcpressure.c src/lua/handle.c \
          src/lua/setup.c src/luaapi/compat.c src/luaapi/protect.c src/main.c \
          src/state.c src/util.c src/value/carray.c src/value/message.c \
          src/value/transfer.c

MODULE   = $(BUILD)/mtstates.so
OBJECTS  = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
SUPPORT  = $(patsubst spec/support/%.c,$(BUILD)/support/%.so, \
             $(wildcard spec/support/*.c))
EXAMPLES = $(patsubst examples/native/%.c,$(BUILD)/examples/%.so, \
             $(wildcard examples/native/*.c))
BENCH    = $(patsubst bench/%.c,$(BUILD)/bench/%.so,$(wildcard bench/*.c))

# What the code cannot do without comes first and is no part of CFLAGS: the
# user's flags replace only the optimisation, and have the last word.
# Without exceptions what Lua, compiled as C++, throws could not pass through
# (see src/compiler.h).
WARNINGS = -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes
DIALECT  = -std=c11 -fexceptions -pthread $(WARNINGS) -Isrc -Iinclude -I$(LUA_INCDIR)
COMPILE  = $(CC) $(DIALECT) -fPIC -MMD -MP -MT $@ -MF $(basename $@).d \
             $(CPPFLAGS) $(CFLAGS)
LINK     = $(CC) $(LIBFLAG) -pthread $(CFLAGS) $(LDFLAGS)

# The versioned variables would win over the ones that are set here, and code
# that runs first could print something.
unexport LUA_INIT $(foreach v,5_2 5_3 5_4 5_5,LUA_INIT_$(v) LUA_PATH_$(v) \
           LUA_CPATH_$(v))
export LUA_PATH  = spec/support/?.lua;$(ROCKS_PATH);
export LUA_CPATH = $(BUILD)/?.so;$(BUILD)/support/?.so;$\
                   $(BUILD)/examples/?.so;$(ROCKS_CPATH);

.PHONY: all deps demo test specs lint format cross-check check-format analyze \
        asan tsan apicheck valgrind foreign bench install uninstall clean help FORCE
.DELETE_ON_ERROR:
ifneq ($(filter deps,$(MAKECMDGOALS)),)
.NOTPARALLEL: # `make -j deps test`: the packages come first
endif

##@ Build and use

all: $(MODULE) $(EXAMPLES) ## build the module and the examples (default)

$(MODULE): $(OBJECTS)
	$(LINK) -o $@ $(OBJECTS)

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

# Small modules for specs, examples and benchmarks, one source file each.
define NATIVE_MODULE
	@mkdir -p $(@D)
	$(COMPILE) $(LIBFLAG) -o $@ $< $(filter %.o,$^) $(LDFLAGS)
endef
$(BUILD)/support/%.so: spec/support/%.c $(BUILD)/flags ; $(NATIVE_MODULE)
$(BUILD)/examples/%.so: examples/native/%.c $(BUILD)/flags ; $(NATIVE_MODULE)
$(BUILD)/bench/%.so: bench/%.c $(BUILD)/obj/luaapi/compat.o $(BUILD)/flags
	$(NATIVE_MODULE)

# Rewritten only if the commands differ: `make CC=clang` builds all anew.  The
# first line is empty for the shell; it warns if Lua's headers are not there.
$(BUILD)/flags: FORCE
	$(if $(wildcard $(LUA_INCDIR)/lua.h),, \
	  $(warning there is no $(LUA_INCDIR)/lua.h; see LUA_INCDIR))
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(LINK)' | cmp -s - $@ || \
	  echo '$(COMPILE) $(LINK)' > $@

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d)

demo: all ## count the words of the licence texts (ARGS="...")
	@$(LUA) examples/wordcount.lua $(ARGS)

# util-linux, grep, diff and the like are on every Debian machine.
PACKAGES = gcc g++ libc6-dev dpkg-dev pkg-config lua5.1 lua5.2 lua5.3 lua5.4 \
           luajit liblua5.1-0-dev liblua5.2-dev liblua5.3-dev liblua5.4-dev \
           libluajit-5.1-dev lua-luv lua-busted luarocks lua-check clang \
           clang-format clang-tidy cppcheck valgrind libc6-dbg \
           gcc-mingw-w64-x86-64-posix spin lua-dkjson gnuplot-nox
AS_ROOT  = $(if $(filter 0,$(shell id -u)),,sudo) env \
             DEBIAN_FRONTEND=noninteractive

deps: ## install the Debian packages that the targets need
	@missing=; for package in $(PACKAGES); do \
	  dpkg-query -W -f '$${db:Status-Status}\n' $$package 2>/dev/null | \
	    grep -qx installed || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] || { $(AS_ROOT) apt-get -q update && \
	  $(AS_ROOT) apt-get -q -y --no-install-recommends install $$missing; }

install: $(MODULE) ## copy the module to DESTDIR INST_LIBDIR (PREFIX/lib/lua/X.Y)
	install -d '$(DESTDIR)$(INST_LIBDIR)'
	install -m 755 $(MODULE) '$(DESTDIR)$(INST_LIBDIR)'

uninstall: ## remove what install has copied
	rm -f '$(DESTDIR)$(INST_LIBDIR)/mtstates.so'

clean: ## remove all that was built, by luarocks too
	rm -rf build mtstates.so $(SOURCES:.c=.o)

help: ## list the targets
	@awk -F ':.*## ' '/^##@/ { print substr($$0, 5) ":" } \
	  /^[a-z-]+:.*## / { printf "  %-14s%s\n", $$1, $$2 }' \
	  $(firstword $(MAKEFILE_LIST))
	@echo 'Variables: CC CFLAGS LUA_VERSION LUA LUA_INCDIR PREFIX DESTDIR' \
	  'INST_LIBDIR LIBFLAG ROCKS SPECS (options of busted)'

##@ Test and measure

# Each version has a make of its own, so that none can stop the others, and
# leaves its results; results.awk tells at the end what they add up to.
RESULTS = $(BUILD)/results

test: ## run all specs and examples, with each Lua or LUA_VERSION only
	@mkdir -p $(BUILD); : > $(RESULTS); \
	for version in $(VERSIONS); do \
	  echo "--- LUA_VERSION=$$version"; \
	  echo "version $$version" >> $(RESULTS); \
	  $(MAKE) --no-print-directory specs LUA_VERSION=$$version \
	    RESULTS=$(RESULTS) || \
	    printf 'status %s\nstopped in the build\n' $$? >> $(RESULTS); \
	done; \
	awk -f spec/support/results.awk $(RESULTS)

# The interpreter can die before, within or after the last spec.  So report.lua
# keeps the results in a file, together with what is unfinished, and they are
# taken from there when the interpreter is gone.  The specs of the installation
# build with the same headers.
specs: all $(SUPPORT) $(filter $(CURDIR)/$(BUILD)/lua,$(LUA))
	@echo stopped before the first spec > $(BUILD)/result; \
	LUA_INCDIR='$(LUA_INCDIR)' \
	$(RUN) $(LUA) $(BUSTED) --output=spec/support/report.lua \
	  -Xoutput $(BUILD)/result $(SPECS) spec; \
	echo status $$? | cat $(BUILD)/result - >> $(RESULTS)

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
	$(CC) -w -std=gnu99 -DLUA_USE_LINUX -DLUA_COMPAT_5_3 $(CFLAGS) -o $@ $< \
	  $$(ls $(LUA_SOURCE)/*.c | grep -v luac) -Wl,-E -lm

asan: $(LUA_SOURCE)/lua.h ## run the specs, Lua 5.4: address, leaks, undefined behaviour
	$(call SANITIZE,$(ASAN_FLAGS),$(ASAN_RUN),--exclude-tags=fork)

# Undefined behaviour traps, since only address reports go to files.  A signal
# handler on a stack of its own would confuse the check for use after return.
# Left out is what forks while threads run: a lock of the sanitizer's own
# allocator can stay held in the child.
ASAN_FLAGS = -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
             -fsanitize-undefined-trap-on-error
ASAN_RUN   = env ASAN_OPTIONS="allocator_may_return_null=1 handle_sigill=1 \
  handle_abort=1 detect_stack_use_after_return=1 use_sigaltstack=0 \
  log_path=$(REPORTS)"

tsan: $(LUA_SOURCE)/lua.h ## run the specs, Lua 5.4: data races, order of locks
	$(call SANITIZE,$(TSAN_FLAGS),$(TSAN_RUN),$(addprefix --exclude-tags=,\
	  race read unjoined fork))

# ThreadSanitizer hands a signal to its handler when the thread does something
# that it sees.  A loop in Lua does not, unless Lua's looks at its hook are
# atomic; without that no interrupt would arrive by signal (see interrupt.c).
# And gcc 12 does not know _longjmp: each error would leave calls on its shadow
# stack until that overflows into other memory.  Left out is what sets a hook
# from outside on purpose, a read that waits: no signal would get through, a
# process that luv ends while another thread runs, and threads after fork.
TSAN_FLAGS = -g -O1 -fsanitize=thread "-Dl_signalT=_Atomic(int)" \
             -D_longjmp=longjmp
TSAN_RUN   = env TSAN_OPTIONS="allocator_may_return_null=1 handle_abort=1 \
  suppressions=$(CURDIR)/spec/sanitize/tsan.supp log_path=$(REPORTS)"

# LUAI_ASSERT has the core of Lua check itself, HARDMEMTESTS collect whenever
# it could.  Not so its auxiliary library (lua_assert), since luv misuses the
# buffers there, and not the main state of a program, or else busted would take
# hours: only states and threads collect all the time.  Left out are specs of
# the collector, and what that makes quadratic: endless recursion.
apicheck: $(LUA_SOURCE)/lua.h ## run the specs, Lua 5.4: use of its API, collection all the time
	$(call SANITIZE,$(APICHECK_FLAGS),$(APICHECK_RUN),--exclude-tags=collector \
	  --filter-out=endless.recursion)

APICHECK_FLAGS = -g -O1 -DLUA_USE_APICHECK -DLUAI_ASSERT -DHARDMEMTESTS \
                 "-Dlua_assert(c)"
APICHECK_RUN   = env SLOWNESS=10 LUA_INIT="collectgarbage[[stop]]"

# Some minutes.  Both look into all processes that specs start, be it a
# compiler, so only specs that start none or small ones are run.  valgrind dies
# if it needs more stack to deliver a signal; code that is hard to parse has had
# that stack before.
valgrind: $(LUA_SOURCE)/lua.h ## run most specs, Lua 5.4: memcheck and helgrind
	$(call SANITIZE,$(VALGRIND_FLAGS),$(MEMCHECK),$(VALGRIND_SPECS))
	$(call SANITIZE,$(VALGRIND_FLAGS),$(HELGRIND),$(VALGRIND_SPECS))

VALGRIND_FLAGS = -g -O1 -include spec/sanitize/atomics.h
VALGRIND_SPECS = $(addprefix --exclude-tags=,rlimit race fork) $(addprefix -p ,call_ capi carray \
                   close deadlock interrupt libs lookup memory nesting \
                   notify ownership receiver singleton threads)
VALGRIND       = env LUA_INIT="load(([[(]]):rep(190))" \
                   valgrind --quiet --fair-sched=yes --trace-children=yes \
                   --error-exitcode=66 --log-file=$(REPORTS).%p
MEMCHECK       = $(VALGRIND) --leak-check=full --show-leak-kinds=definite \
                   --errors-for-leak-kinds=definite
HELGRIND       = $(VALGRIND) --tool=helgrind \
                   --suppressions=$(CURDIR)/spec/sanitize/helgrind.supp

# Errors that are C++ exceptions, other number types, programs without some of
# the libraries and more, with Luas built from Debian's source.
foreign: ## try the module with Luas built in other ways (KINDS="c++ 32bits ...")
	@sh spec/foreign/run.sh $(KINDS)

# Each row, or family of rows, is a program.  Of BASE only the module is taken;
# it is built as that revision's Makefile says.
ROWS       = *
ROW_FILES  = $(foreach row,$(ROWS),$(wildcard bench/rows/$(row).lua))
BASE_BUILD = $(BUILD)/base
BENCH_PATH = $(BUILD)/bench/?.so

bench: all $(BENCH) $(if $(BASE),bench-base) ## measure (ROWS="call_*" BASE=<git revision>)
	@LUA_PATH='bench/?.lua;;' LUA_CPATH='$(BUILD)/?.so;$(BENCH_PATH)' \
	  $(LUA) bench/table.lua $(BUILD) $(if $(BASE),'$(BASE)' \
	  '$(BASE_BUILD)/build/?.so;$(BENCH_PATH)') -- $(ROW_FILES)

.PHONY: bench-base
bench-base:
	@rm -rf $(BASE_BUILD); mkdir -p $(BASE_BUILD)
	@git archive '$(BASE)' | tar -x -C $(BASE_BUILD)
	@$(MAKE) --silent -C $(BASE_BUILD) BUILD=build build/mtstates.so

##@ Check the source

C_SOURCES = $(wildcard src/*.c src/*/*.c spec/support/*.c spec/sanitize/*.c \
              examples/native/*.c bench/*.c)
C_FILES   = $(C_SOURCES) $(wildcard src/*.h src/*/*.h include/*/*.h spec/support/*.h \
              spec/sanitize/*.h spec/foreign/*.c \
              examples/native/*.h bench/*.h)
LUA_FILES = $(shell find spec examples bench library -name '*.lua')
ROCKSPEC  = mtstates-scm-0.rockspec
CHECKS    = check-format check-lists check-lua check-api check-compile
ANALYSERS = analyze-locks analyze-paths analyze-cppcheck analyze-tidy
EACH_FILE = printf '%s\n' $(C_SOURCES) | xargs -P $$(nproc) -n 1
.PHONY: $(CHECKS) $(ANALYSERS) compile compile-for-windows

# $(call EACH_VERSION,target): makes it with the headers of each version.
EACH_VERSION = for version in $(VERSIONS); do \
    $(MAKE) --no-print-directory $(1) LUA_VERSION=$$version || exit; \
  done

lint: $(CHECKS) ## check style, lists and warnings; prints only what it finds

analyze: $(ANALYSERS) ## run the analysers of gcc, clang and cppcheck; likewise

format: ## lay out the C code as .clang-format says
	clang-format -i $(C_FILES)

cross-check: ## compile the sources for Windows (run nothing)
	@$(call EACH_VERSION,compile-for-windows)

# Debian's luaconf.h includes a header from a folder where those of glibc are,
# too; an empty one will do.
MINGW_CC = x86_64-w64-mingw32-gcc
compile-for-windows:
	@mkdir -p $(BUILD)/cross
	@touch $(BUILD)/cross/lua$(LUA_VERSION)-deb-multiarch.h
	@printf '%s\n' $(SOURCES) | xargs -P $$(nproc) -n 1 \
	  $(MINGW_CC) $(DIALECT) -I$(BUILD)/cross -O2 -Werror -S -o /dev/null

check-format: ## find what `make format` would change, and long lines
	@clang-format --dry-run -Werror $(C_FILES)
	@! LC_ALL=C.UTF-8 grep -nP '^(?!---@overload ).{80}' $(C_FILES) \
	  $(LUA_FILES) $(ROCKSPEC)

check-lists:
	@mkdir -p $(BUILD)
	@printf '%s\n' $(sort $(SOURCES)) > $(BUILD)/sources
	@find src -name '*.c' | LC_ALL=C sort | diff -u $(BUILD)/sources -
	@grep -o 'src/[a-z_/]*\.c' $(ROCKSPEC) | LC_ALL=C sort | \
	  diff -u $(BUILD)/sources -

check-lua:
	@found=$$(luacheck --quiet --codes --no-color $(LUA_FILES) \
	  $(ROCKSPEC) .luacheckrc) || { echo "$$found"; exit 1; }

check-api:
	@$(MAKE) --silent $(MODULE)
	@$(LUA) spec/support/api_check.lua

check-compile:
	@$(call EACH_VERSION,compile)

# gcc down to the assembly: some warnings come from the optimizer.
compile:
	@$(EACH_FILE) gcc $(DIALECT) -O2 -Werror -S -o /dev/null
	@clang $(DIALECT) -Werror -fsyntax-only $(C_SOURCES)

analyze-locks:
	@clang $(DIALECT) -Wthread-safety -Werror -fsyntax-only $(C_SOURCES)

# Lua's headers don't tell that these never return; .clang-tidy says the same.
NEVER     = $(foreach f,lua_error luaL_error luaL_argerror luaL_typeerror, \
              "-D$(f)(...)=(($(f))(__VA_ARGS__),__builtin_unreachable(),0)")
analyze-paths:
	@$(EACH_FILE) gcc $(DIALECT) $(NEVER) -Wno-unused-value -O2 \
	  -fanalyzer -Werror -S -o /dev/null

analyze-cppcheck:
	@cppcheck --quiet --std=c11 -j $$(nproc) -Isrc -Iinclude --error-exitcode=1 \
	  --enable=warning,performance,portability --inline-suppr \
	  --suppress=missingIncludeSystem $(C_SOURCES)

# What clang-tidy finds goes to stdout; stderr only counts what it left out.
analyze-tidy:
	@$(EACH_FILE) sh -c 'clang-tidy --quiet $$0 -- $(DIALECT) 2>/dev/null'

##@ Prove

.PHONY: model sweep stress

# In four runs, as all at once would take too much memory: one interrupt of
# three threads; any number of two, with a hook that gets lost; waking up
# without a reason; and cycles without progress, without either.  pan ends with
# 0 even if it has found an error.
MODELS = $(addprefix model-,interrupt lost spurious progress)
.PHONY: $(MODELS)
# $(call CHECK_ALL,options of spin,options of gcc,options of pan)
define CHECK_ALL
@rm -rf build/$@; mkdir -p build/$@; cd build/$@ && \
  spin $(1) -a $(CURDIR)/spec/model/lock.pml && \
  gcc -O2 -DCOLLAPSE $(2) -o pan pan.c && \
  ./pan -b -n -m8000000 -w26 $(3) > log && grep 'errors:' log && \
  grep -q 'errors: 0' log && ! grep -q 'not completed' log || \
  { cat log; exit 1; }
endef

model: ## try all interleavings of the call lock's model (spin); 7 GB, minutes
	@$(MAKE) --no-print-directory -j2 $(MODELS)

model-interrupt: ; $(call CHECK_ALL,-DSPURIOUS=0 -DINTERRUPTS=1 -DMAY_BACK_OFF=false,-DSAFETY)
model-lost: ; $(call CHECK_ALL,-DSPURIOUS=0 -DTHREADS=2 -DLOST=1,-DSAFETY)
model-spurious: ; $(call CHECK_ALL,-DINTERRUPTS=0,-DSAFETY)
model-progress: ; $(call CHECK_ALL,-DSPURIOUS=0 -DINTERRUPTS=0,-DNP,-l -f)

SWEEP = $(patsubst %,$(BUILD)/support/%.so,failmalloc sweephost carray)

sweep: $(MODULE) $(SWEEP) ## let each allocation fail (STEP="..." MODE=... N=...)
	@LD_PRELOAD='$(CURDIR)/$(BUILD)/support/failmalloc.so' \
	  $(LUA) spec/sweep/sweep.lua $(if $(STEP),'$(STEP)' $(MODE) $(N))

# What a thread has in malloc's cache would count as leaked.
stress: all $(SUPPORT) ## run a random program for SECONDS=60 from SEED on
	@GLIBC_TUNABLES=glibc.malloc.tcache_count=0 \
	  $(RUN) $(LUA) spec/stress/stress.lua $(or $(SECONDS),60) $(SEED)
