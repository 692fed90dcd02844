# Everything goes into .venv and the cache (~/.cache/firedrill), and nothing else on this machine is touched.
# Without make: README.md has the same as plain lines.

PYTHON ?= python3
BIN = .venv/bin
# Marks in .venv: touched when all of a lock file's packages are installed.
LEARNER = .venv/learner
TESTER = .venv/tester

lab: $(LEARNER)             ## the lessons in JupyterLab: make lab ARGS="--port 9000"
	@$(BIN)/python -m firedrill lab $(ARGS)

test: $(TESTER)             ## every check: make test ARGS="-k servers"
	@$(MAKE) --no-print-directory -j 3 style types checks

style:
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

checks:
	$(BIN)/pytest -n 6 --dist loadscope --no-loadscope-reorder $(ARGS)

notebooks: $(TESTER)        ## run lessons and solutions, store their outputs, make the exercises: make notebooks NAMES=01_connecting
	$(BIN)/python -m firedrill.authoring.notebooks $(NAMES)

bench: $(TESTER)            ## what it costs, beside its peers: writes benchmarks/RESULTS.md
	$(BIN)/pip install --quiet --upgrade --target .venv/peers -r benchmarks/requirements.txt
	PYTHONPATH=.venv/peers $(BIN)/python -m benchmarks

lock: $(TESTER)             ## the newest releases that requirements.txt allows
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade $(COMPILE) --no-emit-package firedrill requirements.txt -o requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade $(COMPILE) -c requirements.lock tests/requirements.txt -o tests/requirements.lock

# --no-strip-extras: pip takes a hashed file only if it pins the extras as well.
COMPILE = --universal --python-version 3.11 --no-strip-extras --generate-hashes --no-header --no-annotate

$(LEARNER): requirements.lock pyproject.toml
	@$(PYTHON) -m firedrill.authoring.bootstrap requirements.lock && touch $(LEARNER)

$(TESTER): tests/requirements.lock $(LEARNER)
	@$(PYTHON) -m firedrill.authoring.bootstrap tests/requirements.lock && touch $(TESTER)

help:                       ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 12

.PHONY: lab test style types checks notebooks bench lock help
