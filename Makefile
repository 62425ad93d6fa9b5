# Every target sets up what it needs: a virtual environment in the checkout, installed once and
# again whenever pyproject.toml changes. PYTHON and VENV choose another interpreter and place.
SUPPORTED := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
SEEDS ?= 2000
READY := $(VENV)/.ready
# On all cores, but no more processes than the tests gain from.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8

.DEFAULT_GOAL := help
.PHONY: help demo test test-clients simulate simulate-fleet bench bench-check lint types coverage \
	format clean

help: ## Say what each target does
	@echo "make TARGET [PYTHON=python3.13 VENV=.venv-3.13]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Makes the virtual environment $(1), with the extra $(2).
define set_up
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' || { echo \
		"connect-chat needs Python 3.11 or later; say where: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(2)]'
	@touch $@
endef

$(READY): pyproject.toml
	$(call set_up,$(VENV),dev)

demo: $(READY) ## Hold one chat on the embedded emulator, through a rotation and a lost socket
	@$(BIN)/connect-chat demo

test: $(READY) ## Run the tests
	$(PYTEST)

CHATJS := tests/clients/chatjs
CLIENTS_READY := $(VENV)/.clients-ready
CHATJS_READY := $(CHATJS)/node_modules/.package-lock.json

$(CLIENTS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[clients]'
	@touch $@

$(CHATJS_READY): $(CHATJS)/package-lock.json
	npm --prefix $(CHATJS) ci --silent
	@touch $@

test-clients: $(CLIENTS_READY) $(if $(shell command -v npm),$(CHATJS_READY)) ## Try other people's clients on the emulator
	@command -v npm >/dev/null || echo "There is no Node.js (npm) here: the tests with ChatJS are skipped."
	CONNECT_CHAT_CLIENTS=all $(PYTEST) tests/clients -rs

simulate: $(READY) ## Run SEEDS chats against a model of the service and the network
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

simulate-fleet: $(READY) ## Have 5,000 chats reconnect and 20,000 rotate for a day, against a quota
	$(BIN)/python -m tests.simulation.fleet

BENCH_VENV := $(VENV)-bench
BENCH_READY := $(BENCH_VENV)/.ready
BENCH := $(BENCH_VENV)/bin/python -m tests.benchmarks
BENCH_JSON ?= bench.json

$(BENCH_READY): pyproject.toml
	$(call set_up,$(BENCH_VENV),bench)

bench: $(BENCH_READY) $(if $(shell command -v npm),$(CHATJS_READY)) ## Measure speed and memory against references, into BENCH_JSON
	$(BENCH) --rounds 3 --json $(BENCH_JSON)

bench-check: $(BENCH_READY) ## See that the benchmarks see a slowed build as slower
	$(BENCH) --only receive,send --rounds 1 --json $(BENCH_VENV)/as-it-is.json
	$(BENCH) --only receive,send --rounds 1 --slowed --json $(BENCH_VENV)/slowed.json
	! $(BENCH) compare $(BENCH_VENV)/as-it-is.json $(BENCH_VENV)/slowed.json

lint: $(READY) ## Check style, and that imports point one way
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: $(READY) ## Check types, strictly
	$(BIN)/mypy

coverage: $(READY) ## Run the tests and report branch coverage
	$(PYTEST) --cov --cov-report=term

format: $(READY) ## Put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what the other targets made
	rm -rf .venv .venv-* $(CHATJS)/node_modules bench.json build dist htmlcov .coverage* .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
