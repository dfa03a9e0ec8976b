"""The edition as a static site, from notebooks as they were executed, figures, tables and registries.

`notebooks` and `code` give notebooks and modules their anchors, `pages` gathers what the templates of docs/templates/
show, `build` has Sphinx make build/site of it. Nothing is executed and nothing is decided here.
"""
