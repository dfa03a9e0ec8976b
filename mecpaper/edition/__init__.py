"""Build the edition as a static site from executed notebooks, figures, tables and registries.

`notebooks` and `code` add anchors to notebooks and modules, `pages` fills the templates of docs/templates/, and `build`
runs Sphinx into build/site. Nothing is executed or decided here.
"""
