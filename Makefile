# Every target sets up what it needs: `make test` and `make demo` work in a fresh clone.
#
#   make test        the tests, without the slow ones
#   make demo        what attndsl does, on this machine, in about a minute
#   make test-all    all tests
#   make lint        ruff and mypy
#   make wheel-test  the tests against the installed wheel, outside the tree
#   make docs        the pages and tables that are made from the sources: errors, cookbook, tables, outputs
#   make bench-cpu   CPU kernels beside FlexAttention and dense attention
#   make gpu         on a machine with a GPU: its tests, then the benchmark beside FlexAttention and SDPA
#   make clean       removes what builds and tests left (distclean: .venv too)
#
# PYTHON names the interpreter that .venv is made with (3.10 or newer); PYTEST_ARGS goes to pytest, GPU_ARGS to
# the GPU benchmark (as --minutes 9).

PYTHON ?= python3
PYTEST_ARGS ?=
VENV := .venv
RUN := $(VENV)/bin
PYTEST := $(RUN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal $(PYTEST_ARGS)
GPU_ARGS ?=
BENCH_JSON ?= benchmarks/measured/cpu.json

# Kernels that tests compile: kept out of the user's own cache, and shared by the two test runs.
test test-all wheel-test: export ATTNDSL_CACHE_DIR = $(CURDIR)/.cache

.PHONY: test test-all demo docs lint wheel-test bench-cpu gpu clean distclean
.SILENT:

test: $(VENV)/.ready
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.ready
	$(PYTEST)

demo: $(VENV)/.ready
	$(RUN)/attndsl demo

docs: $(VENV)/.ready
	$(RUN)/python -W error scripts/error_pages.py
	$(RUN)/python -W error -m benchmarks.table benchmarks/measured/cpu.json
	$(RUN)/python -W error -m benchmarks.gpu_table
	$(RUN)/python -W error -m scripts.prelude_table
	$(RUN)/python -W error -m scripts.simulator_table
	$(RUN)/python -W error -m scripts.cookbook
	$(RUN)/python -W error -m scripts.attention_gym
	$(RUN)/python -W error -m scripts.console

lint: $(VENV)/.ready
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

wheel-test: $(VENV)/.ready
	scripts/wheel_test.sh $(PYTEST_ARGS)

bench-cpu: $(VENV)/.ready
	$(RUN)/python -m benchmarks.cpu --json $(BENCH_JSON)

gpu: $(VENV)/.ready
	$(RUN)/python -m pytest -q $(PYTEST_ARGS) -m gpu tests/gpu
	$(RUN)/python -m benchmarks.gpu $(GPU_ARGS)
	$(RUN)/python -m benchmarks.gpu_table

$(VENV)/.ready: pyproject.toml constraints-cpu.txt scripts/setup.sh
	scripts/setup.sh "$(PYTHON)" $(VENV)
	touch $@

clean:
	rm -rf build dist .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
