# Part of "Prove": whether the specs find mistakes that were planted.

DEV_PACKAGES += procps
.PHONY: mutants mutate copy-tree build-specs check-mutants

# The copy has what git knows of the tree, as it is now; what did not change is
# not built again.  A check gets nothing of this make's variables.
MUTANT_TREE = build/mutants/tree

mutants: copy-tree ## plant mistakes; do the specs find them? (MUTANTS="...")
	@MAKEFLAGS= $(LUA) spec/mutants/run.lua $(MUTANT_TREE) $(MUTANTS)

# No further one begins after SECONDS.
mutate: copy-tree ## plant N=20 made-up ones (FILES="src/..." SEED=1)
	@MAKEFLAGS= $(LUA) spec/mutants/mutate.lua $(MUTANT_TREE) $(or $(N),20) \
	  $(or $(SEED),1) $(or $(SECONDS),86400) $(FILES)

copy-tree:
	@mkdir -p $(MUTANT_TREE); \
	git ls-files --cached --others --exclude-standard | \
	while read -r file; do \
	  if [ -f "$$file" ] && ! cmp -s "$$file" "$(MUTANT_TREE)/$$file"; then \
	    mkdir -p "$$(dirname "$(MUTANT_TREE)/$$file")"; \
	    cp "$$file" "$(MUTANT_TREE)/$$file"; \
	  fi; \
	done; \
	cd $(MUTANT_TREE) && find * -type f ! -path 'build/*' | \
	while read -r file; do \
	  [ -f "$(CURDIR)/$$file" ] || rm "$$file"; \
	done

# So that the time of a check is that of the specs.
build-specs: all $(SUPPORT)

check-mutants:
	@$(LUA) spec/mutants/run.lua
