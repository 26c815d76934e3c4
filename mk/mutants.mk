# Part of "Prove": whether the specs find mistakes that were planted.

DEV_PACKAGES += procps
.PHONY: mutants build-specs

MUTANT_TREE = build/mutants/tree

# The copy has what git knows of the tree, as it is now; the check of a mutant
# gets nothing of this make's variables.
mutants: ## plant mistakes; do the specs find them? (MUTANTS="name ...")
	@rm -rf $(MUTANT_TREE); mkdir -p $(MUTANT_TREE)
	@git ls-files -z --cached --others --exclude-standard | \
	  tar --null --ignore-failed-read -cT - | tar -xC $(MUTANT_TREE)
	@MAKEFLAGS= $(LUA) spec/mutants/run.lua $(MUTANT_TREE) $(MUTANTS)

# So that the time of a check is that of the specs.
build-specs: all $(SUPPORT)
