# What requirements/find-python finds, unless PYTHON=... names one.
PYTHON ?= $(or $(shell requirements/find-python),$(error Python 3.11 or newer is needed: on Debian \
	and Ubuntu `apt-get install python3`))
BIN := .venv/bin
LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet

.PHONY: help install run test lint types schema openapi docs migrate bench prove fuzz sbom audit lock clean

help:  ## What can be made.
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 10

install:  ## .venv with the locked requirements; at once when it is there.
	@$(PYTHON) requirements/install.py

run: install  ## Everything on this machine, and a first message sent; Ctrl-C ends it.
	$(BIN)/postlane up --demo

test: install  ## Every check and test against real parts; ARGS="tests/mail -k dkim" runs those tests only.
	$(BIN)/python -m tests.run $(ARGS)

lint: install  ## Style, format, and who may import whom.
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-logo

types: install  ## mypy --strict.
	$(BIN)/mypy

schema: install  ## Prints the GraphQL schema into platform/graphql/schema.graphql.
	$(BIN)/postlane print-schema > platform/graphql/schema.graphql

openapi: install  ## Prints the OpenAPI descriptions of the foreign APIs.
	$(BIN)/postlane print-openapi

docs: install  ## Writes the parts of docs/ that are made from the code.
	$(BIN)/python -m docs

migrate: install  ## Brings the database that POSTLANE_DATABASE_URL names up to date.
	$(BIN)/postlane migrate

bench: install  ## Measures beside others in the same run; ARGS="--runs 1 --messages 500" is quicker, --large slower.
	$(BIN)/python -m benchmarks $(ARGS)

prove: install  ## Shows that no mail is lost, doubled or held up, with counts; ARGS="--quick" does less.
	$(BIN)/python -m benchmarks.prove $(ARGS)

fuzz: install  ## Fuzzes every parser of what strangers send; ARGS="--seconds 600 mime" does one for longer.
	$(BIN)/python -m tests.fuzz $(ARGS)

SBOM ?= sbom.json
sbom: install  ## Writes the bill of materials of what is locked, as CycloneDX, into sbom.json.
	$(BIN)/cyclonedx-py requirements requirements/runtime.txt --pyproject pyproject.toml \
		--output-reproducible --output-file $(SBOM)

audit: install  ## Looks what is locked up in the advisory database; ARGS=--strict fails without one.
	$(BIN)/python requirements/audit.py $(ARGS)

lock:  ## Locks the versions in pyproject.toml, with hashes; needs uv.
	$(LOCK) --output-file requirements/runtime.txt
	$(LOCK) --group dev --output-file requirements/dev.txt

clean:  ## Removes .venv.
	rm -rf .venv
