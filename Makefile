# make            lists the recipes
# `make run` needs git, make and Python 3.11 to 3.13; PYTHON=… chooses one.
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# the pip that comes with Python takes twice as long; most of what is installed is never imported, so nothing is compiled
PIP := $(PY) -m pip install -q --disable-pip-version-check
WORKERS := 3

# with it each of the hundreds of processes that the tests start would compile all of the project again
unexport PYTHONDONTWRITEBYTECODE

# rules need no plugin; without them the folder starts in two thirds of the time
PLAIN := $(addprefix -p no:,asyncio timeout anyio hypothesispytest cacheprovider) -W ignore::pytest.PytestConfigWarning

.DEFAULT_GOAL := help
.PHONY: help
help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: run
run: $(READY) ## set up everything and start the shop (Ctrl-C stops it)
	@exec $(VENV)/bin/aftersales up

.PHONY: demo
demo: $(READY) ## play cases on the running shop, from another terminal
	@exec $(VENV)/bin/aftersales demo

.PHONY: test
test: $(READY) ## every test (WORKERS=3 at once: much of it waits)
	$(PY) -m pytest -q -n $(WORKERS) --dist loadgroup

# of the writes of a case, every n-th is a moment to be killed at
SOAK_EVERY := 1
.PHONY: soak
soak: $(READY) ## the long tests: every fault at every moment, big bursts; what they saw is in var/soak.log
	SOAK_EVERY=$(SOAK_EVERY) $(PY) -m pytest -q -s -m soak

.PHONY: specs
specs: $(READY) ## the pure rules, in under two seconds
	$(PY) -m pytest -q tests/specs $(PLAIN)

.PHONY: check
check: $(READY) ## lint, types, import contracts, terms (changes nothing)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/aftersales check

.PHONY: fix
fix: $(READY) ## repair what tools can repair
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: bench
bench: $(READY) ## how fast it is, against the bounds we keep; writes docs/benchmarks.md (twenty minutes)
	@$(PY) -m bench

.PHONY: screenshots
screenshots: $(READY) ## the handbook's pictures: make screenshots ORDERS=online-retail.csv.gz (needs chromium)
	$(PY) -m tests.browser.take_screenshots $(ORDERS)

.PHONY: lock
lock: $(READY) ## write requirements.lock anew from pyproject.toml
	@$(PY) -m pip install -q uv
	$(VENV)/bin/uv pip compile -q --universal --group dev --upgrade --no-header --no-annotate pyproject.toml \
		-o requirements.lock

.PHONY: migration
migration: $(READY) ## draft a migration: make migration NAME="what it adds"
	$(PY) -m aftersales.stack.draft "$(NAME)"

# the set-up: once, and again when the lock or the project file changes
$(READY): requirements.lock pyproject.toml .ci/python
	@sh .ci/python $(VENV) "$(PYTHON)"
	@echo "正在安装依赖（第一次需要几分钟）……"
	@$(PIP) 'pip>=25'
	@$(PIP) --no-compile -r requirements.lock
	@$(PIP) --no-deps --editable .
	@touch $@
