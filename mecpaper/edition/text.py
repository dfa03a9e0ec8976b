"""Small conversions to Markdown; every function is also a template filter."""

from __future__ import annotations

import re
from pathlib import Path

from mecpaper.config.tables import read_table
from mecpaper.report.tables import formulas


def read(path: Path) -> list[dict[str, str]]:
    """Read a table of the project with all values as strings; a missing file has no rows."""
    return read_table(path, optional=True, dtype=str, keep_default_na=False).to_dict("records")


def slug(text: str) -> str:
    """Convert a text to a label of lower-case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def anchor(heading: str) -> str:
    """Convert a heading to its anchor as in JupyterLab; Sphinx uses the same (docs/conf.py)."""
    return heading.strip().replace(" ", "-")


def plain(text: object) -> str:
    """Escape a text for Markdown; its symbols become formulas."""
    return formulas(re.sub(r"([\\`*_{}\[\]<>$|#~])", r"\\\1", str(text)))


def sentence(text: str) -> str:
    """Escape a text and capitalise its first letter, unless it begins with a symbol."""
    first = re.match(r"[a-z][a-z-]*(?=[ ,:;])", text)
    return plain(text[0].upper() + text[1:] if first and (len(first[0]) > 1 or first[0] == "a") else text)


def symbol(text: str) -> str:
    """Format a symbol of the paper as a formula; a place in parentheses stays text."""
    place = r" \((?:Eq|Table|Section|Algorithm|Fig|as )[^()]*\)"
    return re.sub(rf"^(.*?)({place})?$", lambda m: f"${m[1]}${plain(m[2] or '')}", text)


def number(text: str, form: str = ".3g") -> str:
    """Format a number that is stored as text; "none" if it is missing."""
    return format(float(text), form) if text else "none"


def several(cell: str) -> list[str]:
    """Split a field of a CSV file at its semicolons."""
    return [part.strip() for part in cell.split(";") if part.strip()]


def numbers(text: str, word: str) -> set[int]:
    """Collect the numbers after a word, including ranges: 6 and 9 to 12 for "Fig" in "Figs 6, 9-12; Tables 3, 4"."""
    found: set[int] = set()
    for run in re.findall(rf"\b{word}s?\.? (\d+(?:\s*(?:-|,|and)\s*(?:{word}s?\.? )?\d+)*)", text):
        for first, last in re.findall(r"(\d+)(?:\s*-\s*(\d+))?", run):
            found |= set(range(int(first), int(last or first) + 1))
    return found


def occurs(symbol: str, formula: str, equation: int) -> bool:
    """Tell whether a symbol of the notation stands in an equation; one with a place only in the equations it names."""

    def bare(latex: str) -> str:
        latex = re.sub(r"\\mathbb|\((t|\\pi|s, a)\)", "", latex.replace("_{n'k}", "_{nk}"))
        return re.sub(r"(\\[,;!]|\s)+", " ", latex)

    for entry in re.split(r", (?![^(]*\)|[^\\]*\\rangle)", symbol):  # a comma within brackets separates no symbols
        core, place = re.fullmatch(r"(.*?)(?: \((.*)\))?", entry).groups()  # type: ignore[union-attr]
        part = bare(core)
        # S is not the S of S_n; what a device has, such as E^r, is written with one index or two.
        pattern = re.escape(part).replace(r"_\{nk\}", r"_\{?nk?\}?" if "^" in part else r"_\{nk\}")
        after = "A-Za-z" if re.search(r"[_^]", part) else "A-Za-z_^"
        here = not place or equation in numbers(place, "Eq")
        if here and re.search(rf"(?<![A-Za-z\\^_]){pattern}(?![{after}])", bare(formula)):
            return True
    return False


def cross_reference(markdown: str, deviations: set[str]) -> str:
    """Link deviations and equations in prose; code, formulas, links and headings stay as they are."""

    def linked(text: str) -> str:
        text = re.sub(r"\bD(\d+)\b", lambda m: f"[{m[0]}](#{m[0].lower()})" if m[0] in deviations else m[0], text)
        return re.sub(r"\bEq\. ([1-9]|[1-4]\d|5[0-6])\b(?!-)", r"[\g<0>](#eq-\1)", text)

    kept = r"(?ms)(```.*?```|\$\$.*?\$\$|\$[^$]+\$|`[^`]*`|!?\[[^\]]*\]\([^)]*\)|^#[^\n]*$)"
    parts = re.split(kept, markdown)
    return "".join(part if place % 2 else linked(part) for place, part in enumerate(parts))
