PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo examples test lint bench clean

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

# The main job on real data: compare losses on household spend, and leave a report in demo/.
demo: .venv/installed
	$(BIN)/gbreg demo --out demo

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One OpenMP thread for each of two workers: spinning threads of two boosters on two cores cost far more than they save.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

# Every example in full, one after the other; their answers go into examples/README.md.
examples: .venv/installed
	$(BIN)/python -m examples

bench: .venv/installed
	$(BIN)/python -m tests.benchmarks

clean:
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache
