##@ Measure

DEV_PACKAGES += lua-dkjson lua-cjson valgrind gnuplot-nox

# Each row, or family of rows, is a program.  Of BASE only the module is taken;
# it is built as that revision's Makefile says.
BENCH      = $(patsubst bench/%.c,$(BUILD)/bench/%.so,$(wildcard bench/*.c))
ROWS       = *
ROW_FILES  = $(foreach row,$(ROWS),$(wildcard bench/rows/$(row).lua))
BASE_BUILD = $(BUILD)/base
BENCH_PATH = $(BUILD)/bench/?.so;;
.PHONY: bench bench-base

bench: has-valgrind has-gnuplot $(if $(BASE),bench-base)
bench: all $(BENCH) ## measure (ROWS="call_*" BASE=<git revision>)
	@LUA_PATH='bench/?.lua;;' LUA_CPATH='$(BUILD)/?.so;$(BENCH_PATH)' \
	  $(LUA) bench/table.lua $(BUILD) $(if $(BASE),'$(BASE)' \
	  '$(BASE_BUILD)/build/?.so;$(BENCH_PATH)') -- $(ROW_FILES)

bench-base:
	@rm -rf $(BASE_BUILD); mkdir -p $(BASE_BUILD)
	@git archive '$(BASE)' | tar -x -C $(BASE_BUILD)
	@$(MAKE) --silent -C $(BASE_BUILD) BUILD=build build/mtstates.so

$(BUILD)/bench/%.so: bench/%.c $(BUILD)/obj/luaapi/compat.o \
    $(BUILD)/obj/luaapi/libs.o $(BUILD)/flags
	$(NATIVE_MODULE)

-include $(wildcard $(BENCH:.so=.d))
