"""Read the public names of the package with their signatures and docstrings, without importing it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A public function, class, method or constant.

    Args:
        name: its name in the module, dotted for methods.
        signature: how it is called, or the name alone.
        text: its docstring as Markdown.
    """

    name: str
    signature: str
    text: str


def described(docstring: str) -> str:
    """Convert a docstring to Markdown: arguments, results and errors become lists under a bold word."""
    lines, section, depth = [], "", 0
    for line in inspect.cleandoc(docstring).splitlines():
        found = re.fullmatch(r"(Args|Returns|Raises|Yields):", line)
        if found:
            section, depth = found[1], 0
            lines += ["", f"**{section}**", ""]
        elif section and line.startswith("    "):
            named = re.match(r" {4}(\*{0,2}\w+(?:, \w+)*): (.*)", line) if section in ("Args", "Raises") else None
            lines.append(f"- `{named[1]}`: {named[2]}" if named else f"{'  ' if depth else '- '}{line.strip()}")
            depth += 1
        else:
            lines += [""] * (section != "") + [line]
            section = ""
    return "\n".join(lines).strip()


def entries(source: str) -> Iterator[Entry]:
    """Yield what a module offers, in its order: names without an underscore that have a docstring."""
    yield from _members(ast.parse(source).body)


def _members(body: list[ast.stmt], prefix: str = "") -> Iterator[Entry]:
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name, text = node.name, ast.get_docstring(node)
            if text and not name.startswith("_"):
                yield Entry(prefix + name, _signature(node), described(text))
            if isinstance(node, ast.ClassDef) and not name.startswith("_"):
                yield from _members(node.body, f"{name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and isinstance(after.value, ast.Constant) and target.id[0] != "_":
                yield Entry(prefix + target.id, target.id, described(str(after.value.value)))


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    """Write a call with its types; a class is called as its first method says, a property is not called."""
    if isinstance(node, ast.ClassDef):
        made = next((part for part in node.body if getattr(part, "name", "") == "__init__"), None)
        return _signature(made).replace("__init__(self, ", f"{node.name}(") if made else node.name  # type: ignore[arg-type]
    if "property" in map(ast.unparse, node.decorator_list):
        return node.name
    returned = f" -> {ast.unparse(node.returns)}" if node.returns and node.name != "__init__" else ""
    return f"{node.name}({ast.unparse(node.args)}){returned}"
