# Everything goes into .venv and the cache (~/.cache/firedrill), and nothing else on this machine is touched.
# Without make: README.md has the same as plain lines.

PYTHON ?= python3
BIN = .venv/bin
# The set-up takes a moment when all is there, and makes .venv again when this folder has been renamed.
SET_UP = @$(PYTHON) -m firedrill.authoring.bootstrap
UV = $(or $(shell command -v uv),.venv/uv/bin/uv)

lab: learner             ## the lessons in JupyterLab: make lab ARGS="--port 9000"
	@$(BIN)/python -m firedrill lab $(ARGS)

test: tester             ## every check: make test ARGS="-k servers"
	@$(MAKE) --no-print-directory -j 3 style types checks

style:
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

index: tester            ## firedrill/errors/index.json, from the topics' errors.toml
	$(BIN)/python -m firedrill.authoring.index

checks:
	$(BIN)/pytest -n 6 --dist loadscope --no-loadscope-reorder $(ARGS)

answers: tester          ## some 370 more right and wrong answers to the exercises, which `make test` does not try
	$(BIN)/pytest -n 4 -m answers tests/topics $(ARGS)

notebooks: tester        ## run lessons and solutions, store their outputs, make the exercises: make notebooks NAMES=01_connecting
	$(BIN)/python -m firedrill.authoring.notebooks $(NAMES)

bench: tester            ## what it costs, compared with its peers: writes benchmarks/RESULTS.md
	$(UV) pip install --quiet --upgrade --python $(BIN)/python --target .venv/peers -r benchmarks/requirements.txt
	PYTHONPATH=.venv/peers $(BIN)/python -m benchmarks

bench-against: tester       ## this commit and another one, in turns: make bench-against REV=HEAD~1
	$(BIN)/python -m benchmarks.against $(REV)

versions: tester         ## the lessons on each pair of versions that can be had here, and each Python: make versions ARGS="18/1.26"
	$(BIN)/python -m benchmarks.lessons_by_version $(ARGS)

atlas: tester            ## what differs between versions, measured: writes VERSIONS.md
	$(BIN)/python -m firedrill.atlas $(ARGS)

site: learner            ## static pages of lessons and errors: make site SITE_URL=https://drills.example/
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv/site
	@$(UV) pip install --quiet --python .venv/site/bin/python --require-hashes -r site/requirements.lock
	@.venv/site/bin/python -m firedrill.authoring.site

lock: tester             ## the newest releases that requirements.txt allows
	$(UV) pip compile --quiet --upgrade $(COMPILE) --no-emit-package firedrill requirements.txt -o requirements.lock
	$(UV) pip compile --quiet --upgrade $(COMPILE) -c requirements.lock tests/requirements.txt -o tests/requirements.lock
	$(UV) pip compile --quiet --upgrade $(COMPILE) site/requirements.txt -o site/requirements.lock
	echo uv | $(UV) pip compile --quiet --upgrade $(COMPILE) - -o firedrill/authoring/uv.lock

# --no-strip-extras: pip takes a hashed file only if it pins the extras as well.
COMPILE = --universal --python-version 3.11 --no-strip-extras --generate-hashes --no-header --no-annotate

learner:
	$(SET_UP) requirements.lock

tester:
	$(SET_UP) requirements.lock tests/requirements.lock

help:                       ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 16

.PHONY: learner tester answers bench-against lab test index style types checks notebooks bench versions atlas site lock help
