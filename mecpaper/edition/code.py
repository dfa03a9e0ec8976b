"""Read the code behind a name, without importing it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from textwrap import dedent

_parse = cache(ast.parse)


def link(name: str) -> str:
    """Link a dotted name to its entry in the API reference, or to that of what contains it (docs/conf.py)."""
    return f"{{py:obj}}`{name} <{name.partition('(')[0]}>`"


def body(root: Path, name: str) -> str:
    """Read the code of a function, class or method without its docstring.

    Args:
        root: the project's folder.
        name: dotted name, or the id of a test of pytest.
    Raises:
        LookupError: there is no such module, function, class or method.
    """
    parts, path = name.replace(".py::", ".").replace("/", ".").split("."), root
    while parts and path.is_dir():
        path = path / parts.pop(0)
        path = path if path.is_dir() else path.with_suffix(".py")
    if not path.is_file():
        raise LookupError(f"{name}: there is no {path}")
    node: ast.AST = _parse(text := path.read_text(encoding="utf-8"))
    for part in parts:
        found = [inner for inner in getattr(node, "body", []) if getattr(inner, "name", "") == part]
        if not found:
            raise LookupError(f"{name}: there is no {part} in {path}")
        node = found[0]
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        raise LookupError(f"{name}: neither a function nor a class")
    lines, last = text.splitlines(), node.end_lineno or 0
    if ast.get_docstring(node) is not None and node.body[1:] and node.body[1].lineno > (node.body[0].end_lineno or 0):
        described = slice(node.body[0].lineno - 1, node.body[0].end_lineno)
        last -= len(lines[described])
        del lines[described]
    first = min(entry.lineno for entry in [node, *node.decorator_list])
    return dedent("\n".join(lines[first - 1 : last])).strip("\n")


def rules(root: Path, claim: str) -> str:
    """List the lines of mecpaper/claims/rules.py that decide a claim, with a function that is a rule by itself."""
    statements = _parse((root / "mecpaper" / "claims" / "rules.py").read_text(encoding="utf-8")).body
    defined = {node.name: node for node in statements if isinstance(node, ast.FunctionDef)}
    every = next(node.value for node in statements if isinstance(node, ast.AnnAssign))
    assert isinstance(every, ast.Dict)
    chosen: list[ast.expr | ast.stmt] = []
    for key, rule in zip(every.keys, every.values, strict=True):
        if re.match(rf"_lettered\({claim},|'{claim}[a-z]'", ast.unparse(key or rule)):
            chosen += [rule, *filter(None, [defined.get(ast.unparse(rule))])]
    return ",".join(f"{part.lineno}-{part.end_lineno}" for part in chosen)
