"""Pages of the package and its tests, with an anchor for each function, class and method."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mecpaper.edition.text import link, plain, slug


@dataclass(frozen=True)
class Piece:
    """A stretch of a module.

    Args:
        name: of what it defines, dotted below a class; empty for the beginning of the module.
        first, last: lines, counted from 1.
    """

    name: str
    first: int
    last: int


def outline(source: str) -> list[Piece]:
    """A module as pieces in order: its beginning, each function, each class up to its first method, each method.

    Assignments between two of them belong to the piece before.
    """

    def start(node: ast.stmt) -> int:
        decorators = getattr(node, "decorator_list", [])
        return min([node.lineno, *(entry.lineno for entry in decorators)])

    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    starts = [("", 1)]
    for node in ast.parse(source).body:
        if isinstance(node, (*kinds, ast.ClassDef)):
            starts.append((node.name, start(node)))
        if isinstance(node, ast.ClassDef):
            starts += [(f"{node.name}.{inner.name}", start(inner)) for inner in node.body if isinstance(inner, kinds)]
    lines = source.splitlines()
    pieces = []
    for (name, first), (_, following) in zip(starts, [*starts[1:], ("", len(lines) + 1)], strict=True):
        last = following - 1
        # Comments right above a definition belong to it, blank lines to nothing.
        while last >= first and not lines[last - 1].strip():
            last -= 1
        if last >= first:
            pieces.append(Piece(name, first, last))
    return pieces


def module_name(path: str) -> str:
    """Dotted name of a file such as mecpaper/system/__init__.py."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class Code:
    """The package and its tests: what is defined where.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        found = [*sorted((root / "mecpaper").rglob("*.py")), *sorted((root / "tests").rglob("*.py"))]
        self.texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in found}
        self.pieces = {path: outline(text) for path, text in self.texts.items()}
        self.labels: dict[str, str] = {}
        for path, pieces in self.pieces.items():
            taken: set[str] = set()
            for piece in pieces:
                label = slug(f"code {module_name(path)} {piece.name}")
                while label in taken:
                    label += "-again"
                taken.add(label)
                self.labels[self.key(path, piece.name)] = label

    @staticmethod
    def key(path: str, name: str) -> str:
        """Dotted name of an object."""
        return f"{module_name(path)}.{name}" if name else module_name(path)

    def label(self, dotted: str) -> str | None:
        """Label of an object, or of what contains it; None if nothing of the package does."""
        while dotted and dotted not in self.labels:
            dotted = dotted.rpartition(".")[0]
        return self.labels.get(dotted)

    def link(self, dotted: str) -> str:
        """A link to an object, its name as code; only the name if it is not known."""
        label = self.label(re.sub(r"\(\w*\)$", "", dotted))
        return link(f"`{dotted}`", label) if label else f"`{dotted}`"

    def test_link(self, test: str) -> str:
        """A link to a test named as pytest does."""
        path, _, name = test.partition("::")
        label = self.label(f"{module_name(path)}.{name}")
        return link(f"`{name}`", label) if label else f"`{test}`"

    def include(self, dotted: str) -> str:
        """The source of an object, to stand in a page one folder deep; empty if it is not known."""
        for path, pieces in self.pieces.items():
            for piece in pieces:
                if self.key(path, piece.name) == dotted:
                    return _include(path, piece)
        return ""

    def pages(self) -> Iterator[tuple[str, str]]:
        """Name and text of each source page."""
        for path, pieces in self.pieces.items():
            lines = []
            for piece in pieces:
                depth = 1 + bool(piece.name) + piece.name.count(".")
                title = plain(piece.name) if piece.name else f"{module_name(path)}"
                lines += [f"({self.labels[self.key(path, piece.name)]})=", f"{'#' * depth} {title}", ""]
                lines += [f"`{path}`", ""] if not piece.name else []
                lines += [_include(path, piece), ""]
            if not pieces:
                lines = [f"({slug(f'code {module_name(path)}')})=", f"# {module_name(path)}", "", f"`{path}` is empty."]
            yield f"source/{module_name(path)}.md", "\n".join(lines)


def _include(path: str, piece: Piece) -> str:
    return "\n".join(
        [
            f"```{{literalinclude}} ../code/{path}",
            ":language: python",
            f":lines: {piece.first}-{piece.last}",
            ":lineno-match:",
            "```",
        ]
    )
