# `make up` and `make test` are all a newcomer needs; `make help` lists the rest.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell command -v $(name) >/dev/null 2>&1 && \
	$(name) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))) python3)
SHELL := /bin/bash
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

NATIVE := hatch_build.py $(shell find src -name '_*.pyx' -o -name '_*.pxd' -o -name '_*.h')

.PHONY: help setup native up test check format lock docs screenshots bench bench-money bench-gateway fuzz kill-test fleet-test \
	outage-test soak soak-gateway nightly
.DEFAULT_GOAL := help

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/locked: requirements/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit("Arkwright needs Python 3.11 or later; set PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "Making the environment in .venv (once; about 250 MB to download) …"
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing: on Debian, install python3-venv" >&2; exit 1; }
	@$(PIP) install --require-hashes -r requirements/dev.lock | awk '/^(Collecting|Downloading|Installing)/ { print "  " $$1, $$2; fflush() }'; exit $${PIPESTATUS[0]}
	@touch $@

.venv/installed: .venv/locked pyproject.toml $(NATIVE)
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

setup: .venv/installed  ## Make the environment in .venv

native: .venv/locked  ## Build the native modules anew, and say what is in the way
	@ARKWRIGHT_NATIVE=on $(BIN)/python hatch_build.py

up: setup  ## Bring the whole platform up (Ctrl-C stops it)
	@$(BIN)/arkwright up $(ARGS) || [ $$? -eq 130 ]  # Ctrl-C is how it ends.

test: setup  ## Run the whole test suite, in two processes (ARGS: a part of it)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

check: setup  ## Format, lint, types, contracts, tidiness
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/unit/test_tidy.py

format: setup  ## Format and mend what can be mended by machine
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock:  ## Resolve requirements/dev.lock anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --all-extras -q -o requirements/dev.lock pyproject.toml requirements/dev.in

docs: setup  ## Write the reference anew from the code, and build the site in build/docs
	@$(BIN)/python -m docs.generate
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet && echo "the site is in build/docs/index.html"

screenshots: setup  ## Take the pictures of README and docs anew, by the browser tests
	@ARKWRIGHT_SCREENSHOTS=docs/images $(BIN)/python -m pytest -q tests/browser/test_screenshots.py

bench: setup  ## Measure the platform against its engine and a fast upstream
	@$(BIN)/python -m benchmarks

bench-money: setup  ## Measure admission, journal, settler and league tables beside their goals
	@$(BIN)/python -m benchmarks.money $(ARGS)

bench-gateway: setup  ## Measure the gateway beside nginx (ARGS=--peers: beside the others too)
	@$(BIN)/python -m benchmarks.gateway $(ARGS)

kill-test: setup  ## Kill -9 a thousand times at named points, under a hundred thousand requests
	@$(BIN)/python -m tests.exactness.torture $(ARGS)

fleet-test: setup  ## Kill a replica of four every two seconds under streams, for a minute
	@$(BIN)/python -m tests.exactness.fleet --doubles $(ARGS)
	@$(BIN)/python -m tests.exactness.fleet --streams 16 $(ARGS)

fuzz: setup  ## Give random bytes to all that reads bytes of strangers (ARGS="--seconds 3600")
	@$(BIN)/python -m tests.fuzz $(ARGS)

outage-test: setup  ## Take control and the database away for 60 s under load, frozen and killed
	@$(BIN)/python -m tests.exactness.outage $(ARGS)

soak: setup  ## Do a million things to the books, and check every law after each step
	@$(BIN)/python -m tests.exactness.soak $(ARGS)

soak-gateway: setup  ## Mixed traffic on a gateway for MINUTES (60); fails when memory or descriptors grow
	@$(BIN)/python -m tests.integration.gateway.soak --minutes $(or $(MINUTES),60) $(ARGS)

nightly: setup  ## All of these for hours, fuzzing and soaks too, and one table (ARGS=--quick: a moment of each)
	@$(BIN)/python -m tests.nightly $(ARGS)
