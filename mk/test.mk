##@ Test

# A luarocks tree that has busted and luv, if they are no Debian packages.
ifdef ROCKS
ROCKS_PATH  = $(ROCKS)/share/lua/$(LUA_ABI)/?.lua;$\
              $(ROCKS)/share/lua/$(LUA_ABI)/?/init.lua;
ROCKS_CPATH = $(ROCKS)/lib/lua/$(LUA_ABI)/?.so;
BUSTED     ?= $(wildcard $(ROCKS)/lib/luarocks/rocks-$(LUA_ABI)/busted/*/$\
                bin/busted)
endif

# Looked up when used, as the rest of what `make deps` installs.
BUSTED ?= $(firstword $(wildcard /usr/bin/busted) $(shell command -v busted))

SUPPORT = $(patsubst spec/support/%.c,$(BUILD)/support/%.so, \
            $(wildcard spec/support/*.c))
RESULTS = $(BUILD)/results
.PHONY: test specs

# Each version has a make of its own, so that none can stop the others, and
# leaves its results; results.awk tells at the end what they add up to.
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

$(BUILD)/support/%.so: spec/support/%.c $(BUILD)/flags ; $(NATIVE_MODULE)
$(BUILD)/support/osthreads.so: \
  $(patsubst %,$(BUILD)/obj/%.o,async_util base/event base/process)
$(BUILD)/support/signals.so: \
  $(patsubst %,$(BUILD)/obj/%.o,async_util core/signal)
$(BUILD)/support/watches.so: \
  $(BUILD)/obj/base/event.o \
  $(patsubst %,$(BUILD)/obj/%.o,async_util core/watch)
$(patsubst %,$(BUILD)/support/%.so,blocks events events_portable): \
  $(BUILD)/obj/async_util.o

-include $(wildcard $(SUPPORT:.so=.d))
