# Part of "Prove": the lines of the module that no spec reaches.

.PHONY: coverage

COVERAGE = build/coverage

# Whether the specs pass is not looked at here.  A process that is killed, or
# ends in abort, tells nothing.
coverage: ## list the lines that no spec of Lua 5.4 reaches (SPECS=...)
	@rm -rf $(COVERAGE)
	@-$(MAKE) --no-print-directory specs LUA_VERSION=5.4 \
	  BUILD=$(COVERAGE) RESULTS=$(COVERAGE)/results LDFLAGS=--coverage \
	  CFLAGS='-g -O0 --coverage -fprofile-update=atomic' \
	  SPECS='$(or $(SPECS),--exclude-tags=numbers)' > $(COVERAGE).log 2>&1
	@$(LUA) spec/coverage/list.lua $(COVERAGE)/obj
