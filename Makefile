# make demo   set up .venv and run the main job on handwritten digits
# make test   set up .venv and pass the tests
# make check  what CI runs: ruff, mypy, import-linter, then the tests
# make long   thousands of drawn graphs, bit for bit in every runtime
# make format let ruff put the source in order
# make docs   write the generated tables of README.md and docs/ from the source
# make demo-text  run the demo and keep what it prints in docs/demo.txt, for README.md

PYTHON ?= python3
BIN := .venv/bin
RUN := .venv/installed
DEV := .venv/installed-dev
NEEDS := pyproject.toml constraints.txt
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo demo-text docs test check long lint format clean

demo: $(RUN)
	@start=$$SECONDS; $(BIN)/edgekd build --target rpi4; echo "building took $$((SECONDS - start)) s"

test: $(DEV)
	$(BIN)/pytest

check: lint test

long: $(DEV)
	$(BIN)/pytest -m long

lint: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(RUN)
	$(BIN)/python docs/tables

demo-text: $(RUN)
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; cd "$$folder"; \
	  $(CURDIR)/$(BIN)/edgekd build --target rpi4 > demo.txt; mv demo.txt $(CURDIR)/docs/demo.txt
	$(BIN)/python docs/tables

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "edgekd needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# Installed anew only when what is to be installed has changed. The source itself is linked, not copied.
$(RUN): $(NEEDS) | $(BIN)/python
	@start=$$SECONDS; $(BIN)/python -m pip install -q -c constraints.txt -e .; \
	  echo "installing took $$((SECONDS - start)) s"
	@touch $@

$(DEV): $(NEEDS) | $(BIN)/python
	@start=$$SECONDS; $(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'; \
	  echo "installing took $$((SECONDS - start)) s"
	@touch $(RUN) $@
