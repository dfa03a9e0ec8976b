"""Markdown for the pages of the site: links, tables, cross-references."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path


def slug(text: str) -> str:
    """Lower-case letters, digits and single hyphens: a label, and the same as an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>$|#~])", r"\\\1", str(text))


def sentence(text: str) -> str:
    """Plain text with a capital first letter, unless it begins with a symbol."""
    first = re.match(r"[a-z][a-z-]*(?=[ ,:;])", text)
    begun = text[0].upper() + text[1:] if first and (len(first[0]) > 1 or first[0] == "a") else text
    return plain(begun)


def link(text: str, label: str) -> str:
    """A link to a label anywhere in the site; the text is Markdown."""
    return f"[{text}](#{label})"


def download(text: str, name: str) -> str:
    """A link that offers a file, for a page one folder deep."""
    return f"{{download}}`{text} <../downloads/{name}>`"


def several(cell: str) -> list[str]:
    """The parts of a cell that holds several, separated by semicolons."""
    return [part.strip() for part in cell.split(";") if part.strip()]


def numbers(text: str, word: str) -> set[int]:
    """Numbers that a place names after a word, ranges included: "Figs 6, 9-12; Tables 3, 4", "Fig" -> 6, 9 to 12."""
    found: set[int] = set()
    for run in re.findall(rf"\b{word}s?\.? (\d+(?:\s*(?:-|,|and)\s*(?:{word}s?\.? )?\d+)*)", text):
        for first, last in re.findall(r"(\d+)(?:\s*-\s*(\d+))?", run):
            found |= set(range(int(first), int(last or first) + 1))
    return found


def cross_reference(markdown: str, deviations: set[str]) -> str:
    """Link mentions of a deviation or an equation in prose, outside code, formulas, links and headings."""

    def linked(text: str) -> str:
        text = re.sub(r"\bD(\d+)\b", lambda m: link(m[0], m[0].lower()) if m[0] in deviations else m[0], text)
        return re.sub(r"\bEq\. (\d+)\b(?!-)", lambda m: link(m[0], f"eq-{m[1]}") if 0 < int(m[1]) < 57 else m[0], text)

    kept = r"(?s)(```.*?```|\$\$.*?\$\$|\$[^$]+\$|`[^`]*`|!?\[[^\]]*\]\([^)]*\)|^#.*?$)"
    parts = re.split(f"(?m){kept}", markdown)
    return "".join(part if place % 2 else linked(part) for place, part in enumerate(parts))


def table(columns: Iterable[str], rows: Iterable[Iterable[str]], name: str = "") -> str:
    """A table whose cells are Markdown, each in one line."""
    head, *body = [list(columns), *(list(row) for row in rows)]
    lines = ["```{list-table}", ":header-rows: 1", ":widths: auto"]
    lines += [f":class: {name}"] if name else []
    for row in [head, *body]:
        lines += [f"{'* -' if place == 0 else '  -'} {cell}".rstrip() for place, cell in enumerate(row)]
    return "\n".join([*lines, "```", ""])


def registry(root: Path, name: str) -> list[dict[str, str]]:
    """A table of data/paper as it is in the file, every value a string."""
    with open(root / "data" / "paper" / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(pages: list[str], hidden: bool = False, caption: str = "") -> str:
    """A list of pages, for the navigation."""
    options = [":hidden:"] * hidden + [f":caption: {caption}"] * bool(caption) + [":maxdepth: 1"]
    return "\n".join(["```{toctree}", *options, "", *pages, "```", ""])
