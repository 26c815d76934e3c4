##@ Check the source

DEV_PACKAGES += clang clang-format clang-tidy cppcheck lua-check \
                gcc-mingw-w64-x86-64-posix

C_SOURCES = $(wildcard src/*.c src/*/*.c spec/support/*.c spec/sanitize/*.c \
              examples/native/*.c bench/*.c)
C_FILES   = $(C_SOURCES) $(wildcard src/*.h src/*/*.h include/*/*.h \
              spec/support/*.h spec/sanitize/*.h spec/foreign/*.c \
              examples/native/*.h bench/*.h)
LUA_FILES = $(shell find spec examples bench library mk -name '*.lua')
CHECKS    = check-format check-lists check-layers check-names check-links \
            check-lua check-api check-steps check-mutants check-compile
ANALYSERS = analyze-locks analyze-paths analyze-cppcheck analyze-tidy
EACH_FILE = printf '%s\n' $(C_SOURCES) | xargs -P $$(nproc) -n 1
.PHONY: lint analyze format cross-check $(CHECKS) $(ANALYSERS) compile \
        compile-for-windows

# $(call EACH_VERSION,target): makes it with the headers of each version.
EACH_VERSION = for version in $(VERSIONS); do \
    $(MAKE) --no-print-directory $(1) LUA_VERSION=$$version || exit; \
  done

# A tool that `make deps` does not install.
has-%: FORCE
	@command -v $* > /dev/null || \
	  { echo '$*: not found; `make deps-dev` installs it' >&2; exit 1; }

lint: $(CHECKS) ## check style, lists and warnings; prints only what it finds

analyze: $(ANALYSERS) ## run the analysers of gcc, clang and cppcheck; likewise

format: has-clang-format ## lay out the C code as .clang-format says
	clang-format -i $(C_FILES)

# Debian's luaconf.h includes a header from a folder where those of glibc are,
# too; an empty one will do.
MINGW_CC = x86_64-w64-mingw32-gcc
cross-check: has-$(MINGW_CC) ## compile the sources for Windows (run nothing)
	@$(call EACH_VERSION,compile-for-windows)

compile-for-windows:
	@mkdir -p $(BUILD)/cross
	@touch $(BUILD)/cross/lua$(LUA_VERSION)-deb-multiarch.h
	@printf '%s\n' $(SOURCES) | xargs -P $$(nproc) -n 1 \
	  $(MINGW_CC) $(DIALECT) -I$(BUILD)/cross -O2 -Werror -S -o /dev/null

check-format: has-clang-format ## what `make format` would change; long lines
	@clang-format --dry-run -Werror $(C_FILES)
	@! LC_ALL=C.UTF-8 grep -nP '^(?!---@overload ).{80}' $(C_FILES) \
	  $(LUA_FILES) $(ROCKSPEC)

# The rockspec's list of sources is sorted and has all that there are; the table
# of files in CONTRIBUTING.md has all of them, too, and the headers.
check-lists:
	@for file in $(SOURCES) $(wildcard src/*.h src/*/*.h); do \
	  file=$${file##*/}; \
	  grep -q "^|.*\`$${file%.*}\`.*|" CONTRIBUTING.md || \
	    { echo "CONTRIBUTING.md: no $$file"; exit 1; }; \
	done
	@mkdir -p $(BUILD); printf '%s\n' $(SOURCES) > $(BUILD)/sources
	@find src -name '*.c' | LC_ALL=C sort | diff -u $(BUILD)/sources -

# Of links between documents: file and heading.
check-links:
	@$(LUA) mk/check-links.lua *.md docs/*.md spec/*/*.md

check-lua: has-luacheck
	@found=$$(luacheck --quiet --codes --no-color $(LUA_FILES) \
	  $(ROCKSPEC) .luacheckrc) || { echo "$$found"; exit 1; }
	@found=$$(luarocks lint $(ROCKSPEC) 2>&1) || { echo "$$found"; exit 1; }

# The models are those of the code.
check-steps:
	@$(LUA) spec/model/steps.lua

check-api:
	@$(MAKE) --silent $(MODULE)
	@$(LUA) spec/support/api_check.lua

# Includes point down only; names and words.
check-layers check-names:
	@$(LUA) mk/$@.lua

check-compile: has-clang
	@$(call EACH_VERSION,compile)

# gcc down to the assembly: some warnings come from the optimizer.
compile:
	@$(EACH_FILE) gcc $(DIALECT) -O2 -Werror -S -o /dev/null
	@clang $(DIALECT) -Werror -fsyntax-only $(C_SOURCES)

analyze-locks: has-clang
	@clang $(DIALECT) -Wthread-safety -Werror -fsyntax-only $(C_SOURCES)

# Lua's headers don't tell that these never return; .clang-tidy says the same.
NEVER     = $(foreach f,lua_error luaL_error luaL_argerror luaL_typeerror, \
              "-D$(f)(...)=(($(f))(__VA_ARGS__),__builtin_unreachable(),0)")
analyze-paths:
	@$(EACH_FILE) gcc $(DIALECT) $(NEVER) -Wno-unused-value -O2 \
	  -fanalyzer -Werror -S -o /dev/null

analyze-cppcheck: has-cppcheck
	@cppcheck --quiet --std=c11 -j $$(nproc) -Isrc -Iinclude \
	  --error-exitcode=1 --enable=warning,performance,portability \
	  --inline-suppr --suppress=missingIncludeSystem $(C_SOURCES)

# What clang-tidy finds goes to stdout; stderr only counts what it left out.
analyze-tidy: has-clang-tidy
	@$(EACH_FILE) sh -c 'clang-tidy --quiet $$0 -- $(DIALECT) 2>/dev/null'
