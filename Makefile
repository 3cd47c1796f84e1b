PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test lint types schema openapi migrate bench lock clean

run: $(STAMP)  ## Everything on this machine, with a demonstration message.
	$(BIN)/postlane up --demo

test: $(STAMP)  ## The whole suite against real parts; the closing lines name every skip.
	$(BIN)/python -m tests.run

lint: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-logo

types: $(STAMP)
	$(BIN)/mypy

schema: $(STAMP)
	$(BIN)/postlane print-schema > platform/graphql/schema.graphql

openapi: $(STAMP)
	$(BIN)/postlane print-openapi

migrate: $(STAMP)
	$(BIN)/postlane migrate

bench: $(STAMP)
	$(BIN)/python -m benchmarks

lock:  ## Locks the versions in pyproject.toml; needs uv.
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" -q -o requirements/runtime.txt
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" -q -o requirements/dev.txt

$(STAMP): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV)
