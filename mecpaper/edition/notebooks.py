"""Read executed notebooks: the figures they save, the equations they print, and copies prepared for the site."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mecpaper.config.tables import read_json
from mecpaper.edition.text import slug

TITLES = {
    "verdicts": "All verdicts",
    "robustness": "Robustness of the headline verdicts",
    "curves": "What the state hides",
    "schedule": "The learned schedule",
    "drive": "A trace file",
    "transfer": "Policies on a measured channel",
    "identified": "What the reward does not identify",
    "overall": "All algorithms at the default setting",
    "claims": "Claims and verdicts",
}
"""Figures and tables without a number in the paper, in the order of the site."""

HOUSEKEEPING = "absent", "describe", "late", "mark", "name_lines", "new_figure", "save", "stacked", "to_markdown"
"""Functions of mecpaper.report that every figure uses, and no figure is linked to."""

PICTURES = ("image/png", "image/svg+xml", "image/jpeg")


@dataclass(frozen=True)
class Work:
    """A figure or table of the edition, and its origin.

    Args:
        name: stem of its files, such as fig04.
        notebook, cell: the notebook that makes it, and the index of the cell.
        heading: the heading above that cell.
        said: the notebook's text around that cell.
        alternative: alternative text of the picture.
        functions: dotted names of the functions that draw it.
    """

    name: str
    notebook: Notebook
    cell: int
    heading: str
    said: str
    alternative: str
    functions: tuple[str, ...]

    @property
    def title(self) -> str:
        """Title: "Figure 4", "Table 3", or an entry of `TITLES`."""
        found = re.fullmatch(r"(fig|table)0*(\d+)", self.name)
        return f"{'Figure' if found[1] == 'fig' else 'Table'} {found[2]}" if found else TITLES[self.name]

    @property
    def is_table(self) -> bool:
        """Whether it is a table."""
        return self.name.startswith("table") or self.name in ("overall", "claims")


class Notebook:
    """An executed notebook.

    Args:
        path: the file.
        alternatives: (stem, heading) -> alternative text of the picture under that heading.
    """

    def __init__(self, path: Path, alternatives: dict[tuple[str, str], str]) -> None:
        self.path, self.stem, self.alternatives = path, path.stem, alternatives
        self.node: dict[str, Any] = read_json(path)
        self.cells: list[dict[str, Any]] = self.node["cells"]
        for cell in self.cells:
            cell["source"] = "".join(cell["source"])
        self.headings = [
            (place, line.lstrip("# "))
            for place, cell in self.of_kind("markdown")
            for line in re.findall(r"(?m)^#{1,6} .*$", re.sub(r"(?ms)^```.*?^```", "", cell["source"]))
        ]
        self.title = self.headings[0][1] if self.headings else self.stem

    def of_kind(self, kind: str) -> list[tuple[int, dict[str, Any]]]:
        """List the cells of a type with their indices."""
        return [(place, cell) for place, cell in enumerate(self.cells) if cell["cell_type"] == kind]

    def heading_above(self, place: int) -> str:
        """Return the last heading at or before a cell."""
        return next((text for at, text in reversed(self.headings) if at <= place), self.title)

    def cell_label(self, place: int) -> str:
        """Return the label of a code cell."""
        return f"cell-{slug(self.stem)}-{place}"

    def works(self) -> Iterator[Work]:
        """Yield the figures and tables that the notebook saves."""
        names = re.compile(rf'\b(?:save|draw)\([^\n]*?"((?:fig|table)\d+|{"|".join(TITLES)})"')
        for place, cell in self.of_kind("code"):
            for name in names.findall(cell["source"]):
                heading = self.heading_above(place)
                words = self.alternatives.get((self.stem, heading), f"{heading}, {self.title}")
                yield Work(name, self, place, heading, self._said(place), words, self._functions(cell["source"]))

    def _said(self, place: int) -> str:
        """Return the text between the last heading before a cell and the next one after it; empty below the title."""
        heading, markdown = self.heading_above(place), self.of_kind("markdown")
        end = min((at for at, _ in self.headings if at > place), default=len(self.cells))
        text = "\n\n".join(cell["source"] for at, cell in markdown if at <= end).rpartition(f"# {heading}\n")[2]
        said = re.sub(r"\n\n[^\n]*:$", "", re.split(r"(?m)^#+ |^\*\*Try it", text)[0].strip())
        # Pages of figures are in a folder beside that of the notebooks.
        return re.sub(r"\]\((?=\w+\.ipynb)", "](../notebooks/", said) if heading != self.title else ""

    def _functions(self, source: str) -> tuple[str, ...]:
        """List the functions of mecpaper.report that a cell calls, directly or through functions of the notebook."""
        texts = [cell["source"] for _, cell in self.of_kind("code")]
        helpers = {name: text for text in texts for name in re.findall(r"(?m)^def (\w+)\(", text)}
        called = [source, *(text for name, text in helpers.items() if re.search(rf"\b{name}\(", source))]
        imports = re.findall(r"(?m)^from mecpaper\.report import (.+)$", "\n".join(texts))
        modules = "|".join(re.findall(r"\w+", " ".join(imports)))
        found = re.findall(rf"\b((?:{modules})\.(\w+))\(", "\n".join(called)) if modules else []
        chosen = [entry for entry in found if entry[1] not in HOUSEKEEPING] or found
        return tuple(dict.fromkeys(f"mecpaper.report.{name}" for name, _ in chosen))

    def equation(self, number: int) -> tuple[str, str] | None:
        """Find the LaTeX of an equation and the heading above it."""
        for place, cell in self.of_kind("markdown"):
            for block in re.findall(r"(?s)\$\$(.+?)\$\$", cell["source"]):
                for found, formula in split_equations(block):
                    if number in found:
                        return formula, self.heading_above(place)
        return None

    def prepared(self, linked: Callable[[str], str]) -> dict[str, Any]:
        """Copy the notebook with a label before every code cell, cross-references, and alternative texts of pictures.

        Args:
            linked: adds cross-references to Markdown.
        """
        cells: list[dict[str, Any]] = []
        for place, cell in enumerate(copy.deepcopy(self.cells)):
            if cell["cell_type"] == "markdown":
                cell["source"] = linked(cell["source"])
            if place == 0:
                note = f"{{download}}`Download this notebook </../../notebooks/{self.path.name}>`."
                if not all(code["execution_count"] for _, code in self.of_kind("code") if code["source"].strip()):
                    note += " It has not been executed yet: its outputs are missing."
                title, _, rest = cell["source"].partition("\n")
                cell["source"] = f"{title}\n\n{note}\n{rest}"
            if cell["cell_type"] == "code":
                label = {"cell_type": "markdown", "id": f"label-{place}", "metadata": {}}
                cells.append(label | {"source": f"({self.cell_label(place)})="})
                self._describe(cell, self.heading_above(place), linked)
            cells.append(cell)
        return self.node | {"cells": cells}

    def _describe(self, cell: dict[str, Any], heading: str, linked: Callable[[str], str]) -> None:
        """Set the alternative text of the pictures in a cell's outputs."""
        words = self.alternatives.get((self.stem, heading))
        for output in cell["outputs"]:
            data = output.get("data", {})
            if any(kind in data for kind in PICTURES):
                cell["metadata"]["mystnb"] = {"image": {"alt": words or f"Figure, {heading}, {self.title}"}}
            if "text/markdown" in data:
                shown, own = linked("".join(data["text/markdown"])), r"!\[[^\]]*\](?=\(\S*figures/)"
                data["text/markdown"] = re.sub(own, lambda _: f"![{words}]", shown) if words else shown


def split_equations(block: str) -> list[tuple[list[int], str]]:
    """Split a displayed block into equations with their numbers; return it whole if it cannot be split."""
    marks = re.findall(r"\((\d+(?:, ?\d+)*)\)", block)
    if len(marks) > 1 and r"\begin" in block:
        return [([int(n) for mark in marks for n in mark.split(",")], block.strip())]
    pieces = re.findall(r"(?s)(.+?)(?:\\q?quad)\s*\((\d+(?:, ?\d+)*)\)", block)
    cleaned = [(re.sub(r"^(\s|\\q?quad\b)+", "", text), mark) for text, mark in pieces]
    return [([int(n) for n in mark.split(",")], text.strip().rstrip(",;")) for text, mark in cleaned]
