# `make` lists the targets. Each environment is made from a lock file with hashes and made again only when that file
# changes: .venv runs the product, .venv-dev checks and tests it, .venv-bench compares it with other frameworks. The
# product itself is run from this folder, not installed.

PYTHON ?= python3
ARGS ?=
WHAT ?= embedded
UNVARNISHED_DATA_DIR ?= $(CURDIR)/.data/demo

RUN := .venv/bin/python
DEV := .venv-dev/bin/python
# Wheels only: building from source would download build tools that no hash pins. Compiled afterwards, on all cores.
PIP_INSTALL := -m pip install --disable-pip-version-check --progress-bar off --no-compile --no-deps --only-binary :all: \
	--require-hashes
# The Python of the container image (deploy/Dockerfile), if this machine has one: on the PATH, or made by pyenv.
IMAGE_VERSION := $(shell sed -n 's/^FROM python:\([0-9]*\.[0-9]*\)-.*/\1/p' deploy/Dockerfile | head -n 1)
IMAGE_PYTHON ?= $(shell for each in python$(IMAGE_VERSION) \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$(IMAGE_VERSION).*/bin/python; do \
	"$$each" -c 'import venv, ensurepip' 2>/dev/null && echo "$$each" && break; done)

# The same lock file whatever index or mirror is configured on this machine.
UV_COMPILE := env -u PIP_FIND_LINKS -u UV_FIND_LINKS -u UV_INDEX -u UV_DEFAULT_INDEX -u UV_INDEX_URL \
	-u UV_EXTRA_INDEX_URL $(DEV) -m uv pip compile --no-config --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

BENCHES := embedded live notices start-up cluster api tour faults soak kills matrix guards readers history history-cluster \
	sealing

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo cluster check test test-image format docs lock reference readings comments fuzz clean bench $(addprefix bench-,$(BENCHES))

help:
	@echo "make venv                  make the environment that runs the product (the other targets make theirs, too)"
	@echo "make demo [ARGS=...]       a simulated company: 90 days, then live; no credentials, no services"
	@echo "make cluster [ARGS=...]    cluster mode on this machine without Docker: Kafka, PostgreSQL, all roles, deliveries"
	@echo "make check                 lint, format, types, import layers: exactly what CI runs"
	@echo "make test [ARGS=...]       run the tests; ARGS go to pytest, e.g. ARGS='-k quiet_hours'"
	@echo "make test-image            run the unit tests on the Python of the container image, if this machine has it"
	@echo "make format                apply the formatter and the safe lint fixes"
	@echo "make docs                  write docs/asyncapi.json and docs/settings.md from the code"
	@echo "make lock [ARGS=--upgrade] resolve pyproject.toml into the lock files"
	@echo "make reference FILE=...    compare detector and intervals with a file of reference figures"
	@echo "make readings FILE=...     read replies that people have read, and compare; ARGS='--format json'"
	@echo "make fuzz [ARGS=SECONDS]   fuzz the readers of replies and comments; ten minutes"
	@echo "make comments FILE=...     the same for the labels of comments"
	@echo "make bench WHAT=...        run a benchmark or a long test; make bench WHAT=help lists them"
	@echo "make clean                 remove environments, caches and demo data"

venv: .venv/requirements.lock

demo: .venv/requirements.lock
	@UNVARNISHED_DATA_DIR="$(UNVARNISHED_DATA_DIR)" $(RUN) -m pipeline demo $(ARGS)

# In the development environment, because it contains a Java and a PostgreSQL for machines that have none.
cluster: .venv-dev/requirements-dev.lock
	@$(DEV) -m deploy.native_cluster $(ARGS)

bench:
ifeq ($(filter $(WHAT),$(BENCHES)),)
	@echo "make bench WHAT=...        ARGS are passed on; durations are those of a quiet machine"
	@echo "  embedded (default)       events per second of embedded mode; ARGS=PATH: of an Olist history"
	@echo "  live                     events per second over HTTP, and the delay of questions"
	@echo "  notices                  delay from the opening of an incident to its receivers, under load; two minutes"
	@echo "  start-up                 CPU time of starting a command"
	@echo "  cluster                  the worker compared with other frameworks, on Kafka and PostgreSQL"
	@echo "  api [ARGS=N]             3,000 requests made from the OpenAPI documents: every response as documented; a minute"
	@echo "  tour ARGS=FOLDER         open every page of the demo in a browser: pictures, accessibility, Lighthouse, keyboard; 10 minutes"
	@echo "  faults                   kill, stop and pause parts of a cluster: nothing lost, nothing twice; 15 minutes"
	@echo "  soak                     a million events through a cluster, whose processes must not grow"
	@echo "  kills [ARGS=N]           kill the live demo 50 times under load and compare with an undisturbed one; 10 minutes"
	@echo "  matrix                   every crash x provider outcome x callback x dispatchers of sending; 20 minutes"
	@echo "  readers                  how long reading hostile texts takes; a minute"
	@echo "  guards                   remove each guard in turn: a test must fail; half a minute"
	@echo "  history HISTORY=...      real history on both databases, repeated, killed and shuffled: the same in the end"
	@echo "  history-cluster HISTORY=...  real history through a cluster: the same as in one process"
	@echo "  sealing HISTORY=... EARLIER=...  databases of an earlier version (source folder) migrate, killed on the way; STORE=SQLite: one"
	@test "$(WHAT)" = help
else
	@$(MAKE) --no-print-directory bench-$(WHAT)
endif

bench-embedded bench-live bench-notices bench-start-up: bench-%: .venv/requirements.lock
	@$(RUN) -m pipeline bench $* $(ARGS)

bench-cluster: .venv-bench/requirements-bench.lock
	@.venv-bench/bin/python -m bench $(ARGS)

bench-api: .venv-dev/requirements-dev.lock
	@$(DEV) -m tests.contract.openapi $(ARGS)

bench-tour: .venv-dev/requirements-dev.lock
	$(call require,ARGS,folder/for/the/pictures)
	@$(DEV) -m tests.e2e.pages.tour $(ARGS)

bench-faults: .venv-dev/requirements-dev.lock
	@$(DEV) -m tests.reliability.faults $(ARGS)

bench-soak: .venv-dev/requirements-dev.lock
	@$(DEV) -m tests.reliability.faults.soak $(ARGS)

bench-kills: .venv-dev/requirements-dev.lock
	@$(DEV) -m tests.reliability.kills $(ARGS)

bench-matrix: .venv-dev/requirements-dev.lock
	@UNVARNISHED_MATRIX=full $(DEV) -m pytest tests/reliability/test_send_matrix.py $(ARGS)

bench-readers: .venv/requirements.lock
	@$(RUN) -m tests.reliability.readers.reader_times

bench-guards: .venv-dev/requirements-dev.lock
	@$(DEV) -m tests.reliability.guards $(ARGS)

bench-history: .venv-dev/requirements-dev.lock
	$(call require,HISTORY,path/to/olist)
	@$(DEV) -m tests.reliability.history "$(HISTORY)"

bench-sealing: .venv-dev/requirements-dev.lock
	$(call require,HISTORY,path/to/olist)
	$(call require,EARLIER,path/to/source/of/an/earlier/version)
	@$(DEV) -m tests.reliability.sealing "$(HISTORY)" "$(EARLIER)" $(STORE)

bench-history-cluster: .venv-dev/requirements-dev.lock
	$(call require,HISTORY,path/to/olist)
	@$(DEV) -m tests.reliability.faults.olist "$(HISTORY)"

reference: .venv/requirements.lock
	$(call require,FILE,path/to/divergence_reference.json)
	@$(RUN) -m tests.reference "$(FILE)"

readings: .venv/requirements.lock
	$(call require,FILE,path/to/replies.jsonl)
	@$(RUN) -m tests.readings replies "$(FILE)" $(ARGS)

comments: .venv/requirements.lock
	$(call require,FILE,path/to/comments.jsonl)
	@$(RUN) -m tests.readings comments "$(FILE)" $(ARGS)

check: .venv-dev/requirements-dev.lock
	$(DEV) -m ruff check .
	$(DEV) -m ruff format --check .
	$(DEV) -m mypy --strict
	.venv-dev/bin/lint-imports --no-logo

# In the order of the folders: the files of e2e, which take longest, come first, so that no process has one left alone.
# Compiled tests and modules are kept, also where the environment forbids it: compiling takes each process 20 seconds.
test: export PYTHONDONTWRITEBYTECODE =
# Files of tests in memory, if 8 GB are free there: each commit to a disk takes some milliseconds. Those of tests that fail
# are kept.
test: export PYTEST_DEBUG_TEMPROOT := $(or $(PYTEST_DEBUG_TEMPROOT),$(shell test -w /dev/shm && \
	df -Pk /dev/shm | awk 'NR == 2 && $$4 > 8388608 { print "/dev/shm" }'))
test: .venv-dev/requirements-dev.lock
	@$(DEV) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

test-image:
ifeq ($(IMAGE_PYTHON),)
	@echo "Python $(IMAGE_VERSION), that of the container image, is not on this machine: the unit tests do not run on it" >&2
else
	@$(MAKE) --no-print-directory PYTHON="$(IMAGE_PYTHON)" .venv-image/requirements-dev.lock
	@.venv-image/bin/python -m pytest tests/unit --numprocesses auto --dist loadfile $(ARGS)
endif

format: .venv-dev/requirements-dev.lock
	$(DEV) -m ruff check --fix .
	$(DEV) -m ruff format .

docs: .venv/requirements.lock
	@$(RUN) -m docs.make_asyncapi
	@$(RUN) -m docs.make_settings

# Ten minutes on texts of any kind: no exception, no text slower than 50 ms. ARGS=SECONDS for another duration.
fuzz: .venv-dev/requirements-dev.lock
	@$(DEV) -m tests.reliability.readers.fuzz_readers $(ARGS)

lock: .venv-dev/requirements-dev.lock
	$(UV_COMPILE) $(ARGS) --output-file requirements.lock pyproject.toml
	$(UV_COMPILE) $(ARGS) --group pyproject.toml:dev --constraints requirements.lock \
		--output-file requirements-dev.lock pyproject.toml
	$(UV_COMPILE) $(ARGS) --group pyproject.toml:dev --group pyproject.toml:bench \
		--output-file requirements-bench.lock pyproject.toml
	$(UV_COMPILE) $(ARGS) --group pyproject.toml:build --output-file requirements-build.lock

clean:
	rm -rf .venv .venv-dev .venv-bench .venv-image .data .coverage htmlcov dist .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find bench deploy docs pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call require,VARIABLE,EXAMPLE): stop if the variable is not set.
require = @test -n "$($(1))" || { echo "this target needs $(1): make $@ $(1)=$(2)" >&2; exit 2; }

# $(call install,ENVIRONMENT,LOCK). The copy of the lock file inside the environment tells make what was installed last;
# it is written only after pip succeeded. Progress goes to stderr, one line per package: pip's exit code goes
# around awk, through file descriptor 3.
define install
@command -v $(PYTHON) >/dev/null || { \
  echo "$(PYTHON) not found: Unvarnished needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1): Unvarnished needs 3.11 or newer. Name one: make PYTHON=python3.12" >&2; exit 1; }
@$(1)/bin/python -m pip --version >/dev/null 2>&1 || { \
  $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
    echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
  $(PYTHON) -m venv $(1); }
@echo "Installing $(2) into $(1), once until it changes. It takes a minute or two." >&2
@code=$$({ { $(1)/bin/python $(PIP_INSTALL) -r $(2); echo $$? >&3; } | awk ' \
  /^Collecting / { print "  " ++n " " $$2; fflush() } \
  /^Installing / { print "  Unpacking " n " packages"; fflush() }' >&2; } 3>&1); test "$$code" = 0
@echo "  Compiling" >&2
@$(1)/bin/python -m compileall -qq -j 0 $(1)/lib || true
@cp $(2) $(1)/$(2)
@echo "  Done" >&2
endef

.venv/requirements.lock: requirements.lock
	$(call install,.venv,requirements.lock)

.venv-bench/requirements-bench.lock: requirements-bench.lock
	$(call install,.venv-bench,requirements-bench.lock)

.venv-image/requirements-dev.lock: requirements-dev.lock
	$(call install,.venv-image,requirements-dev.lock)

.venv-dev/requirements-dev.lock: requirements-dev.lock
	$(call install,.venv-dev,requirements-dev.lock)
