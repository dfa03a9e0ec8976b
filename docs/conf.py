"""Sphinx reads the sources that `python -m mecpaper.edition` writes; notebooks are shown as they were executed."""

from importlib.metadata import files
from pathlib import Path

project = "CPO-MADDPG, an executable edition"
author = "mecpaper"
copyright = "the authors of mecpaper"
extensions = ["myst_nb", "sphinx.ext.mathjax"]
exclude_patterns = ["code", "downloads", "_static"]
smartquotes = False

nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_render_markdown_format = "myst"
myst_enable_extensions = ["amsmath", "attrs_block", "attrs_inline", "colon_fence", "dollarmath"]
myst_dmath_double_inline = True

html_theme = "furo"
html_title = "CPO-MADDPG, an executable edition"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_use_index = False
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# A summary of a hit would be fetched, which browsers refuse for pages opened from disk.
html_show_search_summary = False
pygments_style = "tango"
pygments_dark_style = "github-dark"
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {
        "color-brand-primary": "#0b5c8a",
        "color-brand-content": "#0b5c8a",
        "color-brand-visited": "#5a4a8a",
    },
    "dark_css_variables": {
        "color-brand-primary": "#6cb8e6",
        "color-brand-content": "#6cb8e6",
        "color-brand-visited": "#b3a4e6",
    },
}

# One file, with its fonts in it: it needs no network and no fonts beside it.
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "local"}}


def _mathjax() -> Path:
    """MathJax as a package of the environment has it."""
    found = [path for path in files("sphinx-mathjax-offline") or () if path.name == "tex-svg.js"]
    return Path(str(found[0].locate()))


def _bundle(app: object, error: Exception | None) -> None:
    """Put MathJax beside the pages."""
    if error is None:
        target = Path(app.outdir) / "_static" / "mathjax" / "tex-svg.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_mathjax().read_bytes())


def setup(app: object) -> None:
    """Hook of Sphinx."""
    app.connect("build-finished", _bundle)
