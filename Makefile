PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Where versions of Python and of the engines matter.
STACK := tests/engines tests/estimators tests/test_callables.py tests/test_callables_vector.py tests/test_descent.py \
	tests/test_persistence.py tests/test_cli.py

# One OpenMP thread for each of two workers: spinning threads of two boosters on two cores cost far more than they save.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

.PHONY: demo examples test test-stack lint bench clean

# CONSTRAINTS: a file of versions to install, such as the oldest that pyproject.toml admits (`python .ci/oldest.py`).
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable ".[dev]" $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
	touch $@

# The main job on real data: compare losses on household spend, and leave a report in demo/.
demo: $(VENV)/installed
	$(BIN)/gbreg demo --out demo

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(PYTEST)

# PYTEST_FLAGS: old packages meet newer ones than they knew, which deprecate what they call.
test-stack: $(VENV)/installed
	$(PYTEST) $(PYTEST_FLAGS) $(STACK)

# Every example in full, one after the other; their answers go into examples/README.md.
examples: $(VENV)/installed
	$(BIN)/python -m examples

bench: $(VENV)/installed
	$(BIN)/python -m tests.benchmarks

clean:
	rm -rf .venv .venv-* demo .pytest_cache .mypy_cache .ruff_cache
