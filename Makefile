# make            lists the recipes
PY := .venv/bin/python

.PHONY: help
help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: check
check: ## lint, types, import contracts, terms (changes nothing)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

.PHONY: fix
fix: ## repair what tools can repair
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.PHONY: specs
specs: ## the pure rules, in under two seconds
	$(PY) -m pytest -q tests/specs

.PHONY: test
test: ## every test
	$(PY) -m pytest -q
