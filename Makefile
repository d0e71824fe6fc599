# `make` lists the targets. Environments, each from a lock file with hashes, each rebuilt only when its lock changes:
# .venv runs the product, .venv-dev checks and tests it. The product itself is run from this folder, not installed.

PYTHON ?= python3
ARGS ?=
UNVARNISHED_DATA_DIR ?= $(CURDIR)/.data/demo

RUN := .venv/bin/python
DEV := .venv-dev/bin/python
# Wheels only: building from source would fetch build tools that no hash pins. Compiled when first imported.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --only-binary :all: --require-hashes
# The same lock whatever index or mirror the machine is set up with.
UV_COMPILE := env -u PIP_FIND_LINKS -u UV_FIND_LINKS -u UV_INDEX -u UV_DEFAULT_INDEX -u UV_INDEX_URL \
	-u UV_EXTRA_INDEX_URL $(DEV) -m uv pip compile --no-config --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo cluster bench bench-cluster matrix guards kills faults soak soak-cluster reference check test format docs lock clean

help:
	@echo "make venv                  the environment that runs the product, from its lock file (the others make it, too)"
	@echo "make demo                  a simulated company, 90 days and then live; no credentials, no services"
	@echo "make cluster [ARGS=...]    the cluster mode on this machine, without Docker: Kafka, PostgreSQL, every role, deliveries"
	@echo "make check                 lint, format, types, import layers: exactly what CI runs"
	@echo "make test [ARGS=...]       the tests; ARGS go to pytest, e.g. ARGS='-k ledger'"
	@echo "make format                apply the formatter and the safe lint fixes"
	@echo "make docs                  write docs/asyncapi.json and docs/settings.md again, from the code"
	@echo "make bench [ARGS=...]      measure throughput on this machine"
	@echo "make bench-cluster         our worker beside the same work on other frameworks, on Kafka and PostgreSQL"
	@echo "make faults [ARGS=...]     kill, stop and pause parts of a cluster: nothing lost, nothing twice; a quarter of an hour"
	@echo "make faults HISTORY=...    real history through a cluster: the same as in one process"
	@echo "make soak-cluster          a million events through a cluster, whose processes must not grow"
	@echo "make matrix                every crash x provider outcome x callback x dispatchers: about twenty minutes"
	@echo "make guards                take each guard away: a test has to turn red; about half a minute"
	@echo "make kills [ARGS=N]        the live demo killed 50 times under load, beside an undisturbed one: about ten minutes"
	@echo "make soak HISTORY=...      real history on both databases, repeated, killed and shuffled: the same in the end"
	@echo "make reference FILE=...    compare detector and intervals with a file of reference figures"
	@echo "make lock [ARGS=--upgrade] resolve pyproject.toml into the lock files again"
	@echo "make clean                 remove environments, caches and demo data"

venv: .venv/requirements.lock

demo: .venv/requirements.lock
	@UNVARNISHED_DATA_DIR="$(UNVARNISHED_DATA_DIR)" $(RUN) -m pipeline demo $(ARGS)

# The development environment: in it are a Java and a PostgreSQL, for machines that have none.
cluster: .venv-dev/requirements-dev.lock
	@$(DEV) -m deploy.native_cluster $(ARGS)

bench: .venv/requirements.lock
	@$(RUN) -m pipeline bench embedded $(ARGS)

bench-cluster: .venv-bench/requirements-bench.lock
	@.venv-bench/bin/python -m bench $(ARGS)

faults: .venv-dev/requirements-dev.lock
	@$(DEV) -m tests.reliability.faults$(if $(HISTORY),.olist "$(HISTORY)", $(ARGS))

soak-cluster: .venv-dev/requirements-dev.lock
	@$(DEV) -m tests.reliability.faults.soak $(ARGS)

matrix: .venv-dev/requirements-dev.lock
	@UNVARNISHED_MATRIX=full $(DEV) -m pytest tests/reliability/test_send_matrix.py $(ARGS)

guards: .venv-dev/requirements-dev.lock
	@$(DEV) -m tests.reliability.guards $(ARGS)

kills: .venv-dev/requirements-dev.lock
	@$(DEV) -m tests.reliability.kills $(ARGS)

soak: .venv-dev/requirements-dev.lock
	@test -n "$(HISTORY)" || { echo "make soak needs a history: make soak HISTORY=path/to/olist" >&2; exit 2; }
	@$(DEV) -m tests.reliability.history "$(HISTORY)"

reference: .venv/requirements.lock
	@test -n "$(FILE)" || { echo "make reference needs a file: make reference FILE=path/to/divergence_reference.json" >&2; exit 2; }
	@$(RUN) -m tests.reference "$(FILE)"

check: .venv-dev/requirements-dev.lock
	$(DEV) -m ruff check .
	$(DEV) -m ruff format --check .
	$(DEV) -m mypy --strict
	.venv-dev/bin/lint-imports --no-logo

test: .venv-dev/requirements-dev.lock
	@$(DEV) -m pytest --numprocesses auto --dist loadfile $(ARGS)

format: .venv-dev/requirements-dev.lock
	$(DEV) -m ruff check --fix .
	$(DEV) -m ruff format .

docs: .venv/requirements.lock
	@$(RUN) -m docs.make_asyncapi
	@$(RUN) -m docs.make_settings

lock: .venv-dev/requirements-dev.lock
	$(UV_COMPILE) $(ARGS) --output-file requirements.lock pyproject.toml
	$(UV_COMPILE) $(ARGS) --extra dev --constraints requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(UV_COMPILE) $(ARGS) --extra dev --group pyproject.toml:bench --output-file requirements-bench.lock pyproject.toml
	$(UV_COMPILE) $(ARGS) --group pyproject.toml:build --output-file requirements-build.lock

clean:
	rm -rf .venv .venv-dev .venv-bench .data .coverage htmlcov dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call install,ENVIRONMENT,LOCK). The copy of the lock inside the environment tells make what was installed last;
# it is written only after pip succeeded.
define install
@command -v $(PYTHON) >/dev/null || { \
  echo "$(PYTHON) not found: Unvarnished needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1): Unvarnished needs 3.11 or newer. Name one: make PYTHON=python3.12" >&2; exit 1; }
@$(1)/bin/python -m pip --version >/dev/null 2>&1 || { \
  $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
    echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
  $(PYTHON) -m venv $(1); }
@echo "Installing $(2) into $(1) (once, until it changes)"
@$(1)/bin/python $(PIP_INSTALL) -r $(2)
@cp $(2) $(1)/$(2)
endef

.venv/requirements.lock: requirements.lock
	$(call install,.venv,requirements.lock)

.venv-bench/requirements-bench.lock: requirements-bench.lock
	$(call install,.venv-bench,requirements-bench.lock)

.venv-dev/requirements-dev.lock: requirements-dev.lock
	$(call install,.venv-dev,requirements-dev.lock)
