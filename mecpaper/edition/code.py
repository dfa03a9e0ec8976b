"""Cut the package and its tests into pieces, with an anchor for each function, class and method."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mecpaper.edition.text import slug


@dataclass(frozen=True)
class Piece:
    """A range of lines of a module.

    Args:
        path, module: the file, relative to the project's folder, and its dotted name.
        name: name that it defines, dotted for methods; empty for the beginning of the module.
        first, last: line numbers from 1; an empty file ends with line 0.
        body: the lines without the docstring, as the directive `literalinclude` takes them.
    """

    path: str
    module: str
    name: str
    first: int
    last: int
    body: str = ""

    @property
    def dotted(self) -> str:
        """Full name of what it defines."""
        return f"{self.module}.{self.name}".rstrip(".")


def outline(source: str, path: str) -> list[Piece]:
    """Cut a module into its beginning, functions, classes up to their first method, and methods.

    Other statements belong to the piece before them.
    """

    def starts(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, int, str]]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                first, text = min(entry.lineno for entry in [node, *node.decorator_list]), node.body[0]
                described = ast.get_docstring(node) is not None
                shown = f"{first}-{text.lineno - 1},{(text.end_lineno or 0) + 1}-" if described else f"{first}-"
                yield prefix + node.name, first, shown
            if isinstance(node, ast.ClassDef):
                yield from starts(node.body, f"{prefix}{node.name}.")

    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    lines, pieces, last = source.splitlines(), [], len(source.splitlines())
    for name, first, body in reversed([("", 1, "1-"), *starts(ast.parse(source).body)]):
        while last >= first and not lines[last - 1].strip():
            last -= 1
        pieces.append(Piece(path, module, name, first, last, f"{body}{last}"))
        last = first - 1
    return pieces[::-1]


class Code:
    """All modules of the package and its tests.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = [path for room in ("mecpaper", "tests") for path in sorted((root / room).rglob("*.py"))]
        outlines = [outline(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()) for path in paths]
        self.modules = {pieces[0].module: pieces for pieces in outlines}
        self.pieces = {piece.dotted: piece for pieces in outlines for piece in pieces}
        self.labels: dict[str, str] = {}
        for dotted in self.pieces:
            label = slug(f"code {dotted}")
            while label in self.labels.values():  # names may differ only in case or underscores
                label += "-again"
            self.labels[dotted] = label

    def rules(self, claim: str) -> str:
        """List the lines of the rules that decide a claim."""
        path = self.root / "mecpaper" / "claims" / "rules.py"
        every = next(node for node in ast.parse(path.read_text()).body if isinstance(node, ast.AnnAssign)).value
        assert isinstance(every, ast.Dict)
        return ",".join(
            f"{rule.lineno}-{rule.end_lineno}"
            for key, rule in zip(every.keys, every.values, strict=True)
            if re.match(rf"_lettered\({claim},|'{claim}[a-z]'", ast.unparse(key or rule))
        )

    def link(self, name: str) -> str:
        """Link a dotted name, or a test id of pytest, to its source or to the innermost piece that contains it."""
        dotted = re.sub(r"\(\w*\)$", "", name.replace(".py::", ".").replace("/", "."))
        while dotted and dotted not in self.labels:
            dotted = dotted.rpartition(".")[0]
        shown = f"`{name.rpartition('::')[2]}`"
        return f"[{shown}](#{self.labels[dotted]})" if dotted else shown
