# Two commands matter: `make demo` and `make test`. Everything else serves them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(shell find protos -name '*.proto')

.PHONY: gen

gen: ## Compile protos/ into extauthz/gen/.
	$(BIN)/python tools/compile_protos.py
