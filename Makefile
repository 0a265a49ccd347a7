# Two commands on a fresh machine: `make demo` does the main job, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit thorough integration check lock bench-up bench-capture clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(BIN)/appbed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	@touch $@

setup: $(BIN)/appbed ## make this machine able: engine, Compose, images
	$(BIN)/appbed setup

demo: setup ## the tour: a lab comes up, is measured, is judged, goes down again
	$(BIN)/appbed run tour
	$(BIN)/appbed gc

test: check unit thorough integration ## everything, from units to real containers

check: $(BIN)/appbed ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: $(BIN)/appbed ## tests that need no engine, in seconds
	$(BIN)/pytest -q -m 'not docker and not thorough'

thorough: $(BIN)/appbed ## tests that need no engine but more time
	$(BIN)/pytest -q -m thorough

integration: setup ## tests on real containers
	$(BIN)/pytest -q -m docker

bench-up: setup ## seconds and megabytes of coming up, beside docker compose
	$(BIN)/python bench/up.py

bench-capture: $(BIN)/appbed ## speed of the analysis beside tshark, dpkt and scapy
	$(BIN)/pip install --quiet dpkt
	$(BIN)/python bench/capture_analysis.py

lock: $(BIN)/appbed ## the tested set of packages
	$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check > requirements.lock

clean: ## forget the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/out
