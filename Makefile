# Two commands on a fresh machine: `make demo` does the main job, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit thorough fuzz torture torture-short isolation integration scenarios test-netem check docs lock bench-up bench-capture bench-links bench-reset bench-commands sweep-p2p clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(BIN)/appbed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev,docs]'
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

docs: $(BIN)/appbed ## the documentation as a site, in docs/_build/html; a dead link or a run that no longer passes is an error
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet -d docs/_build/read docs docs/_build/html

unit: $(BIN)/appbed ## tests that need no engine, in seconds
	$(BIN)/pytest -q -m 'not docker and not thorough' --ignore tests/integration --ignore tests/scenarios/test_saved_evidence.py

thorough: $(BIN)/appbed ## tests that need no engine but more time
	$(BIN)/pytest -q -m thorough

fuzz: $(BIN)/appbed ## ten thousand changed topologies, units, x- blocks, captures and messages to the agent; five minutes
	APPBED_FUZZ=10000 $(BIN)/pytest -q tests/test_fuzz.py tests/agent/test_fuzz_agent.py tests/analysis/test_analysis_fuzz.py

torture: setup ## kills commands, agents and hosts at random moments and looks at what is left; an hour, goes on where it was
	$(BIN)/python -m bench.torture

torture-short: setup ## ten kills of commands at random moments; a minute or two, while nobody else brings labs up
	$(BIN)/pytest -q -m torture

isolation: setup ## writes the table of what each role may do in docs/reliability.md anew, from a running lab
	$(BIN)/python -m tests.integration.isolation_table

integration: setup ## tests on real containers
	$(BIN)/pytest -q -m 'docker and not scenarios and not torture'

scenarios: setup ## every scenario on real containers, in its short form, and in worlds that are not as predicted; half an hour
	$(BIN)/pytest -q -m scenarios

test-netem: setup ## links by the kernel's netem, in user-mode Linux where it can be had: each setting, then a lab
	$(BIN)/python -m tests.netem.uml -- pytest -q --color=no -p no:cacheprovider -k netem tests/agent/test_cables*.py tests/agent/test_measure.py
	$(BIN)/python -m tests.netem.lab

bench-up: setup ## seconds and megabytes of coming up, beside docker compose
	$(BIN)/python bench/up.py

bench-capture: $(BIN)/appbed ## frames captured without loss, speed of the analysis, beside tcpdump, tshark, dpkt and scapy
	$(BIN)/pip install --quiet dpkt
	$(BIN)/python bench/capture.py

bench-links: $(BIN)/appbed ## what links do against what was set, both back-ends in one table; as root, 15 minutes
	@rm -f bench/out/links-netem.json && mkdir -p bench/out
	if unshare --net tc qdisc add dev lo root netem 2>/dev/null; then uml=; \
	  else uml="$(BIN)/python -m tests.netem.uml --seconds 1800 --write bench/out --"; fi; \
	  $$uml $(BIN)/python -m bench.links --backend netem --out bench/out/links-netem.json
	$(BIN)/python -m bench.links --backend relay --beside bench/out/links-netem.json

sweep-p2p: setup ## the chapter's curve: client-server and P2P distribution times over N beside their bounds; 15 minutes, goes on where it was
	$(BIN)/python bench/sweep_p2p.py

bench-reset: setup ## seconds of the reset between two tests, step by step
	$(BIN)/python bench/reset.py

bench-commands: $(BIN)/appbed ## seconds of --help, and of what Tab offers
	$(BIN)/python bench/commands.py

bench-report: $(BIN)/appbed ## seconds and megabytes of a report of 45 runs
	$(BIN)/python bench/report.py

lock: $(BIN)/appbed ## the tested set of packages
	$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check > requirements.lock

clean: ## forget the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/out
