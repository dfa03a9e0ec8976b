"""Executed notebooks: what they save, what they print, and copies with the anchors that the site needs."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from mecpaper.edition.text import download, slug

DRAWING = {"figures", "diagrams", "tables"}
"""Modules whose functions make a figure or a table."""

HOUSEKEEPING = {"describe", "describe_levels", "legend", "new_figure", "save", "to_markdown"}
"""Functions of them that every figure uses."""

WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURES = ("image/png", "image/svg+xml", "image/jpeg")


@dataclass(frozen=True)
class Work:
    """A figure or table of the edition and where it is made.

    Args:
        name: of its files, such as fig04.
        title: what it is called.
        notebook, cell: stem of the notebook that makes it and the place of the cell in it.
        heading: label of the heading it stands under.
        said: what the notebook says before it.
        alternative: text for who does not see it.
        functions: dotted names of what draws it.
    """

    name: str
    title: str
    notebook: str
    cell: int
    heading: str
    said: str
    alternative: str
    functions: tuple[str, ...]

    @property
    def label(self) -> str:
        """Of its page."""
        return f"work-{slug(self.name)}"

    @property
    def cell_label(self) -> str:
        """Of the cell that makes it."""
        return f"cell-{slug(self.notebook)}-{self.cell}"


TITLES = {
    "verdicts": "All verdicts",
    "robustness": "Robustness of the headline verdicts",
    "overall": "All algorithms at the default setting",
    "claims": "Claims and verdicts",
}


class Notebook:
    """An executed notebook, and the same with the anchors that the site needs.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.stem = path, path.stem
        self.node: NotebookNode = nbformat.read(path, 4)
        self.headings: dict[Any, Any] = {}
        for place, cell in enumerate(self.node.cells):
            if cell.cell_type == "markdown":
                for line in _heading_lines(cell.source):
                    self.headings.setdefault(slug(line.lstrip("#")), place)

    @property
    def title(self) -> str:
        """First heading."""
        first = self.node.cells[0].source.splitlines()[0] if self.node.cells else ""
        return first.lstrip("# ").strip() or self.stem

    @property
    def executed(self) -> bool:
        """Whether every code cell was run."""
        code = [cell for cell in self.node.cells if cell.cell_type == "code" and cell.source.strip()]
        return all(cell.execution_count for cell in code)

    def heading_label(self, heading: str) -> str | None:
        """Label of a heading, from its text or from an anchor as JupyterLab writes it."""
        name = slug(heading)
        return f"nb-{slug(self.stem)}-{name}" if name in self.headings else None

    def heading_above(self, place: int) -> str:
        """Text of the last heading at or before a cell."""
        found = [line for cell in self.node.cells[: place + 1] for line in _heading_lines(cell.source, cell.cell_type)]
        return found[-1].lstrip("#").strip() if found else self.title

    def works(self, alternatives: dict[tuple[str, str], str]) -> Iterator[Work]:
        """Figures and tables that this notebook saves.

        Args:
            alternatives: (stem, heading) -> text for the picture under that heading.
        """
        helpers: dict[str, ast.FunctionDef] = {}
        for place, cell in enumerate(self.node.cells):
            if cell.cell_type != "code":
                continue
            try:
                tree = ast.parse(re.sub(r"(?m)^%.*$", "", cell.source))
            except SyntaxError:
                continue
            helpers |= {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
            for name in _saved(tree):
                heading = self.heading_above(place)
                text = alternatives.get((self.stem, heading)) or self._alternative(name, cell)
                yield Work(
                    name=name,
                    title=_title(name),
                    notebook=self.stem,
                    cell=place,
                    heading=self.heading_label(heading) or "",
                    said=self._said(place),
                    alternative=text or f"{_title(name)} of the edition",
                    functions=tuple(_drawing(tree, helpers)),
                )

    def _said(self, place: int) -> str:
        """Text of the cell with the last heading before a cell, without the heading and without its code."""
        for cell in reversed(self.node.cells[:place]):
            if cell.cell_type == "markdown" and _heading_lines(cell.source):
                last = _heading_lines(cell.source)[-1]
                text = cell.source.split(last, 1)[1].strip()
                return "" if last.startswith("# ") else text
        return ""

    @staticmethod
    def _alternative(name: str, cell: NotebookNode) -> str:
        texts = [output.get("data", {}).get("text/markdown", "") for output in cell.outputs]
        for text in [*map(_joined, texts), cell.source]:
            found = re.search(rf"!\[([^\]{{]*)\]\(\S*{name}\.\w+\)", text)
            if found:
                return found[1]
        return ""

    def equation(self, number: int) -> tuple[str, int] | None:
        """LaTeX of an equation and the cell that prints it."""
        for place, cell in enumerate(self.node.cells):
            if cell.cell_type != "markdown":
                continue
            for block in re.findall(r"(?s)\$\$(.+?)\$\$", cell.source):
                for found, formula in split_equations(block):
                    if number in found:
                        return formula, place
        return None

    def prepared(self, alternatives: dict[tuple[str, str], str], linked: Callable[[str], str]) -> NotebookNode:
        """A copy with a label before every heading and every code cell, cross-references, and texts for pictures.

        Args:
            alternatives: (stem, heading) -> text for the picture under that heading.
            linked: makes cross-references of what Markdown mentions.
        """
        made = nbformat.from_dict(self.node)
        cells = []
        seen: set[str] = set()
        for place, cell in enumerate(made.cells):
            if cell.cell_type == "markdown":
                cell.source = self._with_labels(linked(cell.source), seen)
                if place == 0:
                    note = download("Download this notebook", self.path.name)
                    note += "" if self.executed else ". It has not been executed yet: its outputs are missing"
                    first, _, rest = cell.source.partition("\n# ") if cell.source.startswith("(") else ("", "", "")
                    heading, _, body = rest.partition("\n")
                    cell.source = f"{first}\n# {heading}\n\n{note}.\n{body}" if rest else cell.source
                cells.append(cell)
                continue
            if cell.cell_type == "code":
                cells.append(nbformat.v4.new_markdown_cell(f"(cell-{slug(self.stem)}-{place})="))
                heading = self.heading_above(place)
                text = alternatives.get((self.stem, heading), f"Figure under the heading {heading} of {self.title}")
                for output in cell.outputs:
                    data = output.get("data", {})
                    if any(kind in data for kind in PICTURES):
                        cell.metadata["mystnb"] = {"image": {"alt": text}}
                    if WIDGET in data:
                        del data[WIDGET]
                    if "text/markdown" in data:
                        shown = linked(_joined(data["text/markdown"]))
                        if (self.stem, heading) in alternatives:
                            shown = re.sub(r"!\[[^\]]*\](?=\(\S*figures/)", partial(_image, text), shown)
                        data["text/markdown"] = shown
            cells.append(cell)
        made.cells = cells
        for place, cell in enumerate(made.cells):
            cell.id = f"cell-{place}"
        made.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        return made

    def _with_labels(self, source: str, seen: set[str]) -> str:
        lines = []
        code = False
        for line in source.splitlines():
            code ^= line.startswith("```")
            name = slug(line.lstrip("#"))
            if not code and re.match(r"#{1,6} ", line) and name not in seen:
                seen.add(name)
                lines.append(f"(nb-{slug(self.stem)}-{name})=")
            lines.append(line)
        return "\n".join(lines)


def _image(alternative: str, found: re.Match[str]) -> str:
    return f"![{alternative}]"


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _heading_lines(source: str, kind: str = "markdown") -> list[str]:
    without_code = re.sub(r"(?ms)^```.*?^```", "", source)
    return re.findall(r"(?m)^#{1,6} .*$", without_code) if kind == "markdown" else []


def _title(name: str) -> str:
    found = re.fullmatch(r"(fig|table)0*(\d+)", name)
    return f"{'Figure' if found[1] == 'fig' else 'Table'} {found[2]}" if found else TITLES.get(name, name)


def _saved(tree: ast.Module) -> list[str]:
    """Names of figures and tables that a cell passes to a function."""
    pattern = re.compile(r"(fig|table)\d+|" + "|".join(TITLES))
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            named = getattr(node.func, "attr", getattr(node.func, "id", ""))
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            if named in ("save", "draw"):
                names += [text for text in texts if pattern.fullmatch(text)]
    return names


def _drawing(tree: ast.Module, helpers: dict[str, ast.FunctionDef]) -> list[str]:
    """Functions of the package that a cell draws with, also through functions of the notebook."""
    waiting: list[ast.AST] = [tree]
    seen, found = set(), []
    while waiting:
        for node in ast.walk(waiting.pop()):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name) and node.func.id in helpers and node.func.id not in seen:
                seen.add(node.func.id)
                waiting.append(helpers[node.func.id])
            owner = getattr(getattr(node.func, "value", None), "id", None)
            if isinstance(node.func, ast.Attribute) and owner in DRAWING and node.func.attr not in HOUSEKEEPING:
                found.append(f"mecpaper.{owner}.{node.func.attr}")
    return list(dict.fromkeys(found)) or ["mecpaper.report.tables.save"]


def split_equations(block: str) -> list[tuple[list[int], str]]:
    """Numbers and LaTeX of each equation of a displayed block; a block that cannot be split is given whole."""
    marks = re.findall(r"\((\d+(?:, ?\d+)*)\)", block)
    if len(marks) > 1 and r"\begin" in block:
        return [([int(n) for mark in marks for n in mark.split(",")], block.strip())]
    pieces = re.findall(r"(?s)(.+?)(?:\\q?quad)\s*\((\d+(?:, ?\d+)*)\)", block)
    cleaned = [(re.sub(r"^(\s|\\q?quad\b)+", "", text), mark) for text, mark in pieces]
    return [([int(n) for n in mark.split(",")], text.strip().rstrip(",;")) for text, mark in cleaned]
