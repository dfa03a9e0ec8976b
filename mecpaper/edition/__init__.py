"""The edition as a static site, from notebooks as they were executed, figures, tables and registries.

`text` writes Markdown, `code` and `books` give the package and the notebooks their anchors, `pages` joins them with the
registries, `build` has Sphinx make build/site of it. Nothing is executed and nothing decided here: what has not been
made yet is said to be missing.
"""
