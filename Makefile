# mtstates: build, install and test.  `make help` lists all targets.
#
# Everything built for one Lua version goes to build/<version>.  What checks,
# measures or proves something is in mk/.

# What test, lint and cross-check go through: LUA_VERSION if it is given, the
# default version if LUA or LUA_INCDIR is, else all that Debian 12 has.
VERSIONS    := $(or $(LUA_VERSION),$(if $(LUA)$(LUA_INCDIR),5.4),$\
                 5.1 5.2 5.3 5.4 jit)

LUA_VERSION ?= 5.4
ifeq ($(filter $(LUA_VERSION),5.1 5.2 5.3 5.4 5.5 jit),)
$(error LUA_VERSION is 5.1, 5.2, 5.3, 5.4, 5.5 or jit)
endif
LUA          ?= lua$(LUA_VERSION)
LUA_INCDIR   ?= $(patsubst -I%,%,$(firstword $(LUA_PKGCONFIG) \
                  /usr/include/lua$(LUA_VERSION:jit=jit-2.1)))
PREFIX       ?= /usr/local
INST_LIBDIR  ?= $(PREFIX)/lib/lua/$(LUA_ABI)
INST_INCDIR  ?= $(PREFIX)/include/mtstates
INST_DATADIR ?= $(PREFIX)/share/mtstates
CFLAGS       ?= -O2
LIBFLAG      ?= $(or $(LIBFLAG_$(shell uname)),-shared)
BUILD        ?= build/$(LUA_VERSION)

# LuaJIT loads the modules of Lua 5.1.
LUA_ABI        = $(LUA_VERSION:jit=5.1)
LIBFLAG_Darwin = -bundle -undefined dynamic_lookup

# Looked up when used, not before: `make deps test` may just have installed
# what is looked for.
LUA_PKGCONFIG = $(shell pkg-config --cflags-only-I lua$(LUA_VERSION) \
                  2>/dev/null)

# What the build, the demo and the tests need.  The files in mk/ add to
# DEV_PACKAGES what their targets need.  util-linux, grep, diff and the like
# are on every Debian machine.
PACKAGES     = gcc libc6-dev lua5.1 lua5.2 lua5.3 lua5.4 luajit \
               liblua5.1-0-dev liblua5.2-dev liblua5.3-dev liblua5.4-dev \
               libluajit-5.1-dev lua-luv lua-cqueues lua-busted luarocks
DEV_PACKAGES =

# The one list of sources is in the rockspec, which cannot do without.
ROCKSPEC = mtstates-scm-0.rockspec
SOURCES := $(shell sed -n 's/^ *"\(src\/.*\.c\)",$$/\1/p' $(ROCKSPEC))
MODULE   = $(BUILD)/mtstates.so
OBJECTS  = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
EXAMPLES = $(patsubst examples/native/%.c,$(BUILD)/examples/%.so, \
             $(wildcard examples/native/*.c))

# What the code cannot do without comes first and is no part of CFLAGS: the
# user's flags replace only the optimisation, and have the last word.
# Without exceptions what Lua, compiled as C++, throws could not pass through
# (see src/base/compiler.h).
WARNINGS = -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes
DIALECT  = -std=c11 -fexceptions -pthread $(WARNINGS) -Isrc -Iinclude \
             -I$(LUA_INCDIR)
COMPILE  = $(CC) $(DIALECT) -fPIC -MMD -MP -MT $@ -MF $(basename $@).d \
             $(CPPFLAGS) $(CFLAGS)
LINK     = $(CC) $(LIBFLAG) -pthread $(CFLAGS) $(LDFLAGS)

# $(call SAY,what)command: shows only `what`; the command itself with V=1, and
# nothing with -s.
SAY   = $(if $(filter-out 0,$(V)),,@$(if $(QUIET),,echo '$(1)'; ))
QUIET = $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))

# The versioned variables would win over the ones that are set here, and code
# that runs first could print something.  The examples look for the module in
# MTSTATES_BUILD.
unexport LUA_INIT $(foreach v,5_2 5_3 5_4 5_5,LUA_INIT_$(v) LUA_PATH_$(v) \
           LUA_CPATH_$(v))
export LUA_PATH  = spec/support/?.lua;$(ROCKS_PATH);
export LUA_CPATH = $(BUILD)/?.so;$(BUILD)/support/?.so;$\
                   $(BUILD)/examples/?.so;$(ROCKS_CPATH);
export MTSTATES_BUILD = $(abspath $(BUILD))

.PHONY: all demo deps deps-dev install uninstall clean help FORCE
.DELETE_ON_ERROR:
ifneq ($(filter deps deps-dev,$(MAKECMDGOALS)),)
.NOTPARALLEL: # `make -j deps test`: the packages come first
endif

##@ Build and use

all: $(MODULE) $(EXAMPLES) ## build the module and the examples (default)

$(MODULE): $(OBJECTS) $(ROCKSPEC)
	$(call SAY,LINK $@)$(LINK) -o $@ $(OBJECTS)

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,CC $<)$(COMPILE) -c -o $@ $<

# Small modules for specs, examples and benchmarks, one source file each.
define NATIVE_MODULE
	@mkdir -p $(@D)
	$(call SAY,CC $<)$(COMPILE) $(LIBFLAG) -o $@ $< $(filter %.o,$^) $(LDFLAGS)
endef
$(BUILD)/examples/%.so: examples/native/%.c $(BUILD)/flags ; $(NATIVE_MODULE)

# Rewritten only if the commands differ: `make CC=clang` builds all anew.  The
# first line is empty for the shell; it warns if Lua's headers are not there.
$(BUILD)/flags: FORCE
	$(if $(wildcard $(LUA_INCDIR)/lua.h),, \
	  $(warning there is no $(LUA_INCDIR)/lua.h; see LUA_INCDIR))
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(LINK)' | cmp -s - $@ || \
	  echo '$(COMPILE) $(LINK)' > $@

-include $(wildcard $(OBJECTS:.o=.d) $(EXAMPLES:.so=.d))

demo: QUIET = yes
demo: all ## count words, states and requests (ARGS="FILE ...")
	@$(LUA) examples/demo.lua $(ARGS)

deps: ## install the Debian packages that build, demo and tests need
	@sh mk/deps.sh $(PACKAGES)

deps-dev: ## install those that all other targets need, too
	@sh mk/deps.sh $(PACKAGES) $(DEV_PACKAGES)

install: $(MODULE) ## copy the module, its C headers and library/ to PREFIX
	install -d '$(DESTDIR)$(INST_LIBDIR)' '$(DESTDIR)$(INST_INCDIR)' \
	  '$(DESTDIR)$(INST_DATADIR)/library'
	install -m 755 $(MODULE) '$(DESTDIR)$(INST_LIBDIR)'
	install -m 644 include/mtstates/*.h '$(DESTDIR)$(INST_INCDIR)'
	install -m 644 library/*.lua '$(DESTDIR)$(INST_DATADIR)/library'

uninstall: ## remove what install has copied, and folders that are empty then
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' sh mk/uninstall.sh \
	  '$(INST_LIBDIR)' '$(INST_INCDIR)' '$(INST_DATADIR)'

clean: ## remove all that was built, by luarocks too
	rm -rf build mtstates.so $(SOURCES:.c=.o)

help: ## list the targets
	@awk -F ':.*## ' '/^##@/ { print substr($$0, 5) ":" } \
	  /^[a-z-]+:.*## / { printf "  %-14s%s\n", $$1, $$2 }' \
	  $(filter Makefile mk/%,$(MAKEFILE_LIST))
	@echo 'Variables: CC CFLAGS LUA_VERSION LUA LUA_INCDIR LIBFLAG V=1 ROCKS'
	@echo '  PREFIX DESTDIR INST_LIBDIR INST_INCDIR INST_DATADIR'
	@echo '  SPECS (options of busted)'

include mk/test.mk mk/sanitizers.mk mk/checks.mk mk/model.mk mk/mutants.mk \
  mk/coverage.mk mk/sweep.mk mk/bench.mk
