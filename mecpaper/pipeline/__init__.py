"""The pipeline: notebooks run in place, and everything rebuilt at a chosen scale."""
