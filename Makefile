# The two commands: `make rehearsal` and `make test`. Each does all set-up itself.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/
# uv's own version is pinned here, everything else in uv.lock.
UV_VERSION := 0.13.9
UV := $(VENV)/bin/uv

# Python may be told to keep no byte code. Then each start of pytest rewrites the assertions of 286 modules anew,
# which is more than half of what a start takes, and a test run starts it hundreds of times.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup environment rehearsal test test-free test-live test-full bench check clean-lab

help:
	@echo "make rehearsal  from nothing to verdicts on the embedded Kubernetes"
	@echo "make test       the harness's own tests, those that need a cluster on a lab of their own"
	@echo "make check      lint, types, rooms, workflows"
	@echo "make test-full  what make test leaves out: the long campaigns, which go on where they stopped, and long tests"
	@echo "make bench      our probes, vegeta, Locust and polls against the same outages, into docs/"
	@echo "make setup      the set-up alone"
	@echo "make clean-lab  remove every lab and provisioned environment that a killed run left"

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(RUN)python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Compiled once: tests start hundreds of processes, and Python may be told to keep no byte code of its own.
environment: $(UV)
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) sync --frozen --quiet --inexact --compile-bytecode --python $(RUN)python --group dev --group vision-service-build

setup: environment
	@$(RUN)verify setup

rehearsal: setup
	@$(RUN)verify rehearse --env lab

# Tests that need no cluster run first and side by side; those that need one share it.
test: setup test-free test-live

test-free:
	$(RUN)pytest tests --ignore=tests/live --ignore=tests/campaigns -m "not long" -n 2 --dist loadfile

test-live:
	$(RUN)pytest tests/live -m "not long"

# Each finished piece leaves its result in the cache, by commit, and is not measured again.
test-full: setup
	$(RUN)pytest tests/campaigns
	$(RUN)pytest tests -m long --ignore=tests/campaigns

bench: environment
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) sync --frozen --quiet --inexact --compile-bytecode --python $(RUN)python --group bench
	$(RUN)python -m benchmarks.side_by_side

check: environment
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports
	@cd lab/toolchain && test -z "$$(gofmt -l .)" || { echo "gofmt: lab/toolchain is not formatted"; exit 1; }
	GOFLAGS=-mod=mod go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

clean-lab: environment
	@$(RUN)verify clean
