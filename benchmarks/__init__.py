"""Timed comparisons, apart from the test suite: `python -m benchmarks`, from the project's folder (see RESULTS.md)."""
