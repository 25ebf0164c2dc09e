# The two commands of the README are `make demo` and `make test`; both make the environment they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: help demo test lint format types unit bench clean

help:
	@echo "make demo    simulate a small survey and take it the whole way; leaves $(DEMO)/"
	@echo "make test    lint, types and tests"
	@echo "make lint    ruff only        make format   let ruff mend what it can"
	@echo "make bench   times and counts beside the peers, an hour or more -> benchmarks/RESULTS.md"
	@echo "make clean   remove the environments, caches and the demo's output"

demo: $(VENV)/.all
	$(BIN)/python recipes/demo.py $(DEMO)

test: lint types unit

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/.dev
	$(BIN)/mypy

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/repartition.py
	$(BIN)/python benchmarks/match_kernel.py
	$(BIN)/python benchmarks/planning.py
	$(BIN)/python benchmarks/crossmatch.py
	$(BIN)/python benchmarks/crossmatch.py --low-latency
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/periods.py
	$(BIN)/python benchmarks/scaling.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "lsdb_ts needs Python 3.11 or newer, '$(PYTHON)' is $$($(PYTHON) --version 2>&1): run 'make $(MAKECMDGOALS) PYTHON=python3.11'" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "'$(PYTHON) -m venv' failed: install it (Debian, Ubuntu: apt-get install python3-venv) and try again" >&2; exit 1; }

# One stamp for each set of extras: pip runs again only where pyproject.toml has changed.
$(VENV)/.all: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.all

clean:
	rm -rf $(VENV) .venv-peers demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
