# Needs Python 3.11 or newer with venv and pip (Debian: python3-venv), and make. Nothing is installed outside .venv.
#
#   make demo    simulate a small data set, refine it, and print how well that went   (under 5 minutes on 2 cores)
#   make test    lint, types, floors and tests                                        (under 10 minutes)
#
# A smaller PyTorch, without CUDA:  make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: demo test lint validate validate-long record-validation bench clean

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py demo

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

validate: $(VENV)/.installed-dev
	$(BIN)/python -m pytest validation -m "not long"

validate-long: $(VENV)/.installed-dev
	$(BIN)/python -m pytest validation -m long

# Runs everything and writes the figures to docs/validation.md; on a clean tree, so that they belong to a commit.
record-validation: $(VENV)/.installed-dev
	$(BIN)/python -m pytest validation --record

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/browser.py
	$(BIN)/python benchmarks/browser_data.py

clean:
	rm -rf demo build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The stamps are touched last: an installation that was interrupted is done again.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing tomobayes into $(VENV); the first time this takes some minutes, most of them for PyTorch."
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) -e '.[dev]'
	@touch $@
