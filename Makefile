# Needs python3 (3.11 or later) with its venv module, make and git; everything else lands in $(VENV).
#   make demo | test | lint | bench | lock | schema | readme | clean
# PYTHON=python3.12 picks an interpreter, EXTRAS=kerberos installs that extra too, PYTEST_ARGS="-k dns" goes to pytest,
# BENCH_ARGS="--only capture --scale 0.1" to the bench.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=

BIN := $(VENV)/bin
comma := ,
# One stamp for each set of extras, so that asking for another set installs it.
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev$(if $(EXTRAS),-$(subst $(comma),-,$(EXTRAS)))
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ITSELF := .$(if $(EXTRAS),[$(EXTRAS)])

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint format bench lock schema readme clean compiled

help:
	@echo "make demo    diagnose an embedded world, healthy and broken, on loopback"
	@echo "make test    every test; what the machine lacks is skipped, with its reason"
	@echo "make lint    ruff, and mypy for Linux, Windows and macOS"
	@echo "make format  let ruff rewrite the code"
	@echo "make bench   speed and size, as ratios; as root also who is blamed, rightly or wrongly"
	@echo "make lock    write the list of finding ids that the tests compare the catalogue with"
	@echo "make schema  write the JSON Schemas that schema/ publishes"
	@echo "make readme  run the examples of README.md, and write what they print into it"
	@echo "make clean   remove the virtual environment and every cache"

demo: $(RUN_STAMP) compiled
	@$(BIN)/netdiag demo

test: $(DEV_STAMP) compiled
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(DEV_STAMP) compiled
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --platform linux
	$(BIN)/mypy --platform win32
	$(BIN)/mypy --platform darwin

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV_STAMP) compiled
	@$(BIN)/python -m bench $(BENCH_ARGS)

lock: $(DEV_STAMP)
	$(BIN)/python -c 'from netdiag.rules import CATALOGUE; print(*sorted(CATALOGUE), sep="\n")' > $(VENV)/rule_ids.lock
	mv $(VENV)/rule_ids.lock tests/unit/rule_ids.lock

schema: $(DEV_STAMP)
	$(BIN)/netdiag schema report --output schema/report-1.json
	$(BIN)/netdiag schema incident --output schema/incident-1.json

readme: $(DEV_STAMP)
	$(BIN)/python -m tests.readme

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An editable installation is compiled by whoever runs it first, and at every start where PYTHONDONTWRITEBYTECODE is set.
compiled: | $(BIN)/python
	@$(BIN)/python -m compileall -q netdiag

$(BIN)/python:
	@.ci/venv "$(PYTHON)" "$(VENV)"

$(RUN_STAMP): pyproject.toml | $(BIN)/python
	@echo "installing netdiag into $(VENV)"
	@$(PIP_INSTALL) --editable .
	@touch $@

# The group is read here rather than by `pip install --group`, which wants a pip (25.1) newer than any of Debian's.
$(DEV_STAMP): pyproject.toml | $(BIN)/python
	@echo "installing netdiag and its development tools into $(VENV)"
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' > $(VENV)/dev.txt
	@$(PIP_INSTALL) --editable "$(ITSELF)" --requirement $(VENV)/dev.txt
	@touch $@ $(RUN_STAMP)
