"""Timed comparisons, separate from the tests: run `python -m benchmarks` in the project's folder (see RESULTS.md)."""
