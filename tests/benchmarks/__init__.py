"""Benchmarks: `make bench`, or ``python -m tests.benchmarks --help``. Ratios measured in one run; nothing is asserted."""
