"""The pipeline: execute notebooks in place, and rebuild everything at a chosen scale."""
