"""Build the edition as a static site from executed notebooks, figures, tables and registries.

`pages` fills the templates of docs/templates/, and `build` runs Sphinx into build/site. Nothing is executed or decided.
"""
