# Targets install what they need into .venv first (`lock` needs uv); `make help` lists them.
# Distributions build Python with profile-guided optimisation; version managers by default do not, and a stack takes a
# fifth longer (decision 167). So the system's comes first, if it is new enough and can make virtual environments.
SYSTEM_PYTHON := /usr/bin/python3
PYTHON ?= $(shell $(SYSTEM_PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
  && echo $(SYSTEM_PYTHON) || echo python3)
VENV := .venv
# Workers of the suite; each has its own PostgreSQL and Kafka, about 1 GB together. Most tests wait for servers most of
# the time (those of the relay compute 56 s of 190 s), so four of them keep two cores busy.
WORKERS ?= 4
BIN := $(VENV)/bin
# Hundreds of processes import the same code: it is compiled once even where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE :=
INSTALLED := $(VENV)/.installed
BUILD_SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.DEFAULT_GOAL := help
.PHONY: help install demo demo-compose test coverage coverage-fast test-compose chaos fuzz chaos-orders chaos-relay test-fast bench-relay bench-orders bench-ticks lint docs pictures contracts sql lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(INSTALLED): deploy/locks/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked packages into $(VENV)"
	@# --no-deps: the lock is complete. pip would look for the newest release of a package wanted with an extra by another.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r deploy/locks/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check --quiet
	@touch $@

install: $(INSTALLED) ## the locked packages and exitflow itself, in .venv

demo: install ## a whole market on an embedded stack: 200 trades, their exits, the invariants checked
	@$(BIN)/exitflow demo

test: install lint ## every check and the whole suite, on a real PostgreSQL and a real Kafka
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

coverage: install ## the suite as `make test` runs it, with the lines and branches reached
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --cov

# A floor: the share of lines and branches reached by the tests without servers, rounded down. Raise it with them.
coverage-fast: install ## the tests without servers, with 69 % of the lines and branches at least; minutes
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile tests/unit tests/contract \
	  --cov --cov-fail-under=69

demo-compose: install ## the same demo against running containers (docker compose up --wait), from outside
	@deploy/compose/demo

test-compose: ## the containers: rights, demo, restarts, copies, kills; in a separate project; EXECUTION
	@bash -c '. deploy/compose/engine'
	@$(MAKE) --no-print-directory install
	@TEST_COMPOSE=1 EXECUTION=$(EXECUTION) $(BIN)/python -m pytest tests/compose

fuzz: install ## HTTP routes, the engine beside its oracle and the paper broker at random, for minutes; FUZZ_EXAMPLES
	@FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),300) $(BIN)/python -m pytest tests/integration/http/test_fuzz.py \
	  tests/unit/exit_qualification/test_engine_agrees_with_oracle.py tests/unit/paper_broker/test_matching.py

chaos-relay: install ## relays and their servers killed and stopped for minutes; DURATION_S, SEED, OUTAGE_S, MAX_IN_FLIGHT
	@CHAOS_RELAY=1 CHAOS_DURATION_S=$(DURATION_S) CHAOS_SEED=$(SEED) CHAOS_OUTAGE_S=$(OUTAGE_S) \
	  CHAOS_MAX_IN_FLIGHT=$(MAX_IN_FLIGHT) $(BIN)/python -m pytest tests/chaos/outbox_relay

chaos-orders: install ## exits under every fault of the broker, then both sides' books compared; SEED, TRADES and EXECUTION replay it
	@CHAOS_ORDERS=1 CHAOS_SEED=$(SEED) CHAOS_TRADES=$(TRADES) CHAOS_EXECUTION=$(EXECUTION) $(BIN)/python -m pytest tests/chaos/orders

chaos: install ## a whole stack under every kind of fault for minutes, then checked; DURATION_S, SEED, KINDS replay it
	@CHAOS_STACK=1 CHAOS_DURATION_S=$(DURATION_S) CHAOS_SEED=$(SEED) CHAOS_KINDS=$(KINDS) \
	  $(BIN)/python -m pytest -o log_cli=true -o log_cli_level=INFO tests/chaos/stack

test-fast: install ## only the tests without servers
	@$(BIN)/python -m pytest tests/unit

bench-relay: install ## this relay and others, measured on one PostgreSQL and one Kafka; a quarter of an hour, on a quiet machine
	@$(BIN)/python -m bench.relay

bench-orders: install ## exits, orders, closures and POST /trades on a local stack; some minutes, on a quiet machine
	@$(BIN)/python -m bench.orders

bench-ticks: install ## the tick worker beside a bare consume loop and a naive engine; minutes, on a quiet machine
	@$(BIN)/python -m bench.ticks

lint: install ## ruff, mypy --strict, import contracts, plain words, the site
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --quiet tests/unit/test_plain_words.py tests/unit/test_short_sentences.py
	@$(BUILD_SITE)
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

docs: install ## the documentation as a site, in build/site
	@$(BUILD_SITE)
	@echo "build/site/index.html"

pictures: install ## write docs/console: the pages of the console in a headless Chromium, on canned answers
	@$(BIN)/python -m tests.pictures

contracts: install ## write docs/contracts (JSON Schemas, AsyncAPI, OpenAPI) and docs/reference from the code
	@$(BIN)/python -m services.contracts

sql: install ## write docs/sql: V010 from its migration, both schemas as they are today
	@$(BIN)/python -m services.contracts.schema_files

lock: ## resolve the dependencies again (needs uv)
	uv pip compile pyproject.toml --extra otel --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --only-binary :all: --quiet -o deploy/locks/runtime.txt
	uv pip compile pyproject.toml --extra local --extra otel --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --only-binary :all: --quiet -c deploy/locks/runtime.txt -o deploy/locks/dev.txt

clean: ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
