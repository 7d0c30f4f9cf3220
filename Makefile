# Two commands matter: `make demo` and `make test`. `make help` lists all of them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PACKAGES := schemas halo hub services sandbox cli
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
# Most tests wait for processes of their own, so more run than there are cores; a file's stay together, since they share them.
TOGETHER := --numprocesses 3 --dist loadfile

.PHONY: help demo test lint fmt features bench soak docs lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## Run the whole hub on this machine and publish a day of quotes (ARGS=--stay leaves it running)
	@$(BIN)/hub demo $(ARGS)

test: $(DEV) ## Run every test, on a real Kafka and a real PostgreSQL (ARGS= goes to pytest)
	@tools/bootstrap.sh system $(BIN)/python
	@$(BIN)/python -m pytest $(TOGETHER) $(ARGS)

lint: $(DEV) ## Check style, types, imports and dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pip check
	$(BIN)/python -m tools.audit

fmt: $(DEV) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

features: $(DEV) ## Show which rows of docs/features.md are proven (runs the tests if the last report is stale)
	@$(BIN)/python -m tools.features --fresh || { tools/bootstrap.sh system $(BIN)/python && $(BIN)/python -m pytest -q $(TOGETHER); true; }
	@$(BIN)/python -m tools.features

bench: $(DEV) ## Measure the hub beside its baselines
	@tools/bootstrap.sh system $(BIN)/python
	@$(BIN)/python -m benchmarks $(ARGS)

soak: $(DEV) ## Kill and starve the whole hub at random for MINUTES=5 with SEED= (several: SEED="1 2 3"); REPORT= names the page
	@tools/bootstrap.sh system $(BIN)/python
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),5) --seed $(SEED) $(if $(REPORT),--report $(REPORT)) $(ARGS)

docs: $(DEV) ## Write the pages made from code, and build the documentation into build/site
	@$(BIN)/python -m schemas.documents
	@$(BIN)/python -m tools.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/site
	@echo "open build/site/index.html"

lock: $(DEV) ## Resolve pyproject.toml into requirements/*.txt again
	@tools/lock.sh $(BIN)/uv $(ARGS)

$(RUNTIME): tools/bootstrap.sh pyproject.toml requirements/build.txt requirements/runtime.txt $(wildcard $(PACKAGES:%=%/__init__.py))
	@tools/bootstrap.sh venv $(VENV)
	@echo "setting up $(VENV): once, and it takes a minute or two"
	@$(PIP_INSTALL) --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUNTIME) requirements/dev.txt
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
