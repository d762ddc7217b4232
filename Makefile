# What people and CI run. Everything is installed into .venv from constraints.txt; a second run installs nothing.

PYTHON ?= python3
PYTEST_ARGS ?=
# As many processes as there are processors, four at most; the groups of tests/conftest.py stay together. More
# processes share the processors evenly if their number is a multiple.
PYTEST_PROCESSES ?= logical
PYTEST_JOBS := --numprocesses $(PYTEST_PROCESSES) --maxprocesses 4 --dist loadgroup --no-loadscope-reorder
VENV := .venv
BIN := $(VENV)/bin
SOURCES := haet_eval sandbox scripts submissions tests

.PHONY: help demo test test-all lint types layers docs bench image clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    evaluate an example submission, from nothing"
	@echo "make test    run the quick tests"
	@echo "make test-all  run all tests, as CI does; those that need Docker are skipped if no engine answers"
	@echo "make lint    check style and formatting      make types   check types"
	@echo "make layers  check who imports whom          make image   build the sandbox image"
	@echo "make docs    build the documentation site into build/docs"
	@echo "make bench   time training steps plain, counted in process, and through handles"
	@echo "make clean   remove what these commands made, results apart"

demo: $(VENV)/.runtime
	@scripts/demo.sh $(BIN)/haet-eval

test: $(VENV)/.dev
	$(BIN)/pytest $(PYTEST_JOBS) -m "not slow" $(PYTEST_ARGS)

test-all: $(VENV)/.dev
	$(BIN)/pytest $(PYTEST_JOBS) --durations 60 --durations-min 5 $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --builder html docs build/docs

bench: $(VENV)/.dev
	$(BIN)/python -m scripts.bench.compare 1
	$(BIN)/python -m scripts.bench.compare
	$(BIN)/python -m scripts.bench.compare 1 reading
	$(BIN)/python -m scripts.bench.checks
	$(BIN)/python -m scripts.bench.counter
	$(BIN)/python -m scripts.bench.books

image: $(VENV)/.runtime
	@scripts/base-image.sh
	$(BIN)/haet-eval image

clean:
	@if [ -x $(BIN)/haet-eval ]; then $(BIN)/haet-eval clean; fi
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than what it was made from: pip runs again only where these files changed.
$(VENV)/.runtime: pyproject.toml constraints.txt sandbox/constraints.txt | $(BIN)/python
	@scripts/install.sh $(BIN)/python '.[local]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt sandbox/constraints.txt | $(BIN)/python
	@scripts/install.sh $(BIN)/python '.[dev]'
	@touch $@ $(VENV)/.runtime

$(BIN)/python:
	@scripts/make-venv.sh $(PYTHON) $(VENV)
