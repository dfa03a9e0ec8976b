"""Sphinx reads the sources that `python -m mecpaper site` writes; notebooks are shown as they were executed."""

import json
import re
from importlib.metadata import files
from pathlib import Path
from textwrap import indent

from sphinx.addnodes import toctree

from mecpaper.config import find_root
from mecpaper.edition.pages import citation

project = "CPO-MADDPG, an executable edition"
author = "mecpaper"
copyright = "the authors of mecpaper"
extensions = ["myst_nb", *(f"sphinx.ext.{name}" for name in ("autodoc", "mathjax", "napoleon", "viewcode"))]
exclude_patterns = ["_static"]
smartquotes = False

# In docstrings, single backticks stand around names and code.
default_role = "py:obj"
autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_default_options |= {"exclude-members": "model_config", "no-value": True}
autodoc_preserve_defaults = True
autodoc_type_aliases = {"ArrayLike": "ArrayLike", "NDArray": "NDArray"}
python_use_unqualified_type_names = True
viewcode_follow_imported_members = False

nb_execution_mode = "off"
# Controls need a kernel: their text is shown.
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_render_markdown_format = "myst"
myst_enable_extensions = ["amsmath", "attrs_block", "attrs_inline", "colon_fence", "dollarmath"]
myst_dmath_double_inline = True
# Links to a section of a notebook are those that JupyterLab follows.
myst_heading_anchors = 6
myst_heading_slug_func = "mecpaper.edition.text.anchor"

html_theme = "furo"
html_title = "CPO-MADDPG, an executable edition"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_js_files = [
    (None, {"body": f"const citation = {json.dumps(citation(find_root()))};"}),
    ("site.js", {"defer": "defer"}),
]
html_use_index = False
html_domain_indices = False
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# A summary of a hit would be fetched, which browsers refuse for pages opened from disk.
html_show_search_summary = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
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


def _bundle(app: object, error: Exception | None) -> None:
    """Put MathJax beside the pages, as a package of the environment has it."""
    found = [path for path in files("sphinx-mathjax-offline") or () if path.name == "tex-svg.js"]
    if error is None:
        target = Path(app.outdir) / "_static" / "mathjax" / "tex-svg.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(str(found[0].locate())).read_bytes())


def _shorten(app: object, env: object) -> None:
    """Keep tables of contents without headings for the sidebar.

    The theme copies the headings of all pages for each page, only to drop them: a quarter of the time of a build.
    """
    app.titles = {name: contents.deepcopy() for name, contents in env.tocs.items()}
    for item in (item for contents in app.titles.values() for item in contents if len(item) > 1):
        item[1][:] = list(item.findall(toctree))
        if not item[1]:
            item.pop(1)


def _sidebar(app: object, page: str, template: str, context: dict, tree: object) -> None:
    """Make the sidebar of a page from them; beside source code, half of all pages, its first level is enough."""
    complete, make = app.env.tocs, context.get("toctree")
    less = {"maxdepth": 1} if page.startswith("_modules/") else {}

    def made(**options: object) -> str:
        app.env.tocs = app.titles
        try:
            return make(**options | less)
        finally:
            app.env.tocs = complete

    if make:
        context["toctree"] = made


def _restructure(app: object, what: str, name: str, thing: object, options: object, lines: list) -> None:
    """Convert the formulas of a docstring to reStructuredText, and link the equations and deviations that it names."""
    text = "\n".join(lines)
    text = re.sub(r"(?ms)^( *)\$\$(.+?)\$\$", lambda m: f"{m[1]}.. math::\n\n{indent(m[2], m[1] + '   ')}\n", text)
    text = re.sub(r"\$([^$]+)\$", r":math:`\1`", text)
    text = re.sub(r"\bEq\. (?:\((\d+)\)|(\d+)(?![\d-]))", r":ref:`Eq. \1\2 <eq-\1\2>`", text)
    lines[:] = re.sub(r"\bD(\d+)\b", r":ref:`D\1 <d\1>`", text).split("\n")
    if what == "class" and (fields := getattr(thing, "model_fields", None)):
        lines += ["", "Keys: " + ", ".join(f"``{name}``" for name in fields), ""]


def _skip(app: object, what: str, name: str, thing: object, skip: bool, options: object) -> bool | None:
    """Leave out the entries of a named tuple, which have no words of their own."""
    return True if str(getattr(thing, "__doc__", "")).startswith("Alias for field number") else None


def _keep(app: object, what: str, name: str, thing: object, options: object, lines: list) -> None:
    """Keep napoleon from taking the words before a colon in what is said of a value for its type."""
    if what in ("attribute", "data", "property"):
        lines.insert(0, "\\")  # nothing, in front of the rest


def _shorter(app: object, what: str, name: str, thing: object, *signature: object) -> tuple[str, str] | None:
    """Leave out the signature of a section of params.yaml: its types are all limits of its values."""
    return ("", "") if hasattr(thing, "model_fields") else None


def _innermost(app: object, env: object, node: object, content: object) -> object:
    """Link an argument or attribute, which has no entry of its own, to what contains it."""
    name, found = node.get("reftarget", ""), None
    while found is None and name.startswith("mecpaper."):
        name = name.rpartition(".")[0]
        found = env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, content)
    return found


def setup(app: object) -> None:
    """Connect to the events of Sphinx."""
    app.connect("autodoc-process-docstring", _keep, priority=400)  # before napoleon's
    app.connect("autodoc-process-docstring", _restructure, priority=600)  # after napoleon's
    app.connect("autodoc-process-signature", _shorter)
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", _innermost)
    app.connect("env-updated", _shorten)
    app.connect("html-page-context", _sidebar, priority=100)  # before the theme's own
    app.connect("build-finished", _bundle)
