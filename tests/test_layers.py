"""Who may import whom: config -> system -> game; networks, replay -> algorithms -> train; results know no torch."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mecpaper"

ALLOWED = {
    "config": set(),
    "stats": set(),
    "system": {"system"},
    "game": {"config", "system"},
    "networks": {"config", "game"},
    "replay": {"config"},
    "algorithms": {"algorithms", "config", "game", "networks", "replay"},
    "pettingzoo": {"config", "game"},
    "policies": {"config", "evaluate", "game", "networks"},
    "export": {"config", "game", "policies", "results", "system"},
}
"""First part of a module's name -> the parts of the package it may import, at most."""

NO_TORCH = ("stats", "results", "figures", "tables", "claims", "report", "diagrams", "site.build")
JOINING = {"train", "evaluate", "reference"}
"""The only ones that may import both the game and algorithms; algorithms themselves need the game's sizes."""


def imports(source: str, module: str, is_package: bool = False) -> set[str]:
    """Full names of everything a module imports anywhere in its code, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            base = parts[: len(parts) - node.level + is_package] if node.level else []
            origin = ".".join(base + ([node.module] if node.module else []))
            found |= {f"{origin}.{alias.name}" for alias in node.names}
    return found


@cache
def graph() -> dict[str, set[str]]:
    """Module of the package -> full names it imports; an imported object is named by its module."""
    sources = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = imports(path.read_text(encoding="utf-8"), name, parts[-1] == "__init__")

    def module_of(name: str) -> str:
        while name.startswith("mecpaper.") and name not in sources:
            name = name.rpartition(".")[0]
        return name

    return {name: {module_of(found) for found in names} for name, names in sources.items()}


def part(module: str) -> str:
    """The part of the package that a module belongs to: its name below `mecpaper`."""
    return module.removeprefix("mecpaper").removeprefix(".").partition(".")[0]


def own_parts(module: str) -> set[str]:
    return {part(name) for name in graph()[module] if name.split(".")[0] == "mecpaper"} - {""}


def reached(module: str) -> set[str]:
    """All that a module imports, directly or through modules of the package."""
    seen, waiting = set(), [module]
    while waiting:
        for name in graph().get(waiting.pop(), ()):
            if name not in seen:
                seen.add(name)
                # Importing a.b runs a as well.
                waiting += [name, name.rpartition(".")[0]]
    return seen


@pytest.mark.parametrize("module", [name for name in graph() if part(name) in ALLOWED])
def test_a_module_imports_only_what_stands_below_it(module):
    assert own_parts(module) <= ALLOWED[part(module)]


def test_every_rule_is_about_a_module_that_exists():
    existing = {part(module) for module in graph()}
    assert set(ALLOWED) <= existing and {"train", "evaluate", "stats", "results", "figures", "tables"} <= existing


@pytest.mark.parametrize("module", [f"mecpaper.{name}" for name in NO_TORCH if f"mecpaper.{name}" in graph()])
def test_what_makes_figures_and_tables_knows_no_torch(module):
    assert not {name for name in reached(module) if name.split(".")[0] == "torch"}


def test_only_a_few_modules_join_the_game_with_algorithms():
    joining = {part(module) for module in graph() if own_parts(module) >= {"game", "algorithms"}}
    assert joining - {"algorithms"} <= JOINING


def test_of_the_learners_modules_algorithms_share_only_common():
    for module in graph():
        if part(module) == "algorithms" and module != "mecpaper.algorithms":
            siblings = {name for name in graph()[module] if part(name) == "algorithms"}
            assert siblings <= {"mecpaper.algorithms.common"}, module


def test_nothing_imports_notebooks():
    for module, names in graph().items():
        assert not {name for name in names if "notebooks" in name.split(".")}, module


def test_the_package_itself_imports_nothing():
    assert graph()["mecpaper"] == set()


def test_the_reader_of_imports_sees_every_form():
    source = (
        "import torch.nn\nfrom . import sibling\nfrom ..game import Game\ndef f():\n    from mecpaper import config"
    )
    found = imports(source, "mecpaper.system.energy")
    assert found == {"torch.nn", "mecpaper.system.sibling", "mecpaper.env.game.Game", "mecpaper.config"}
    assert imports("from .common import named", "mecpaper.algorithms", True) == {"mecpaper.algorithms.common.named"}
    assert any(name.split(".")[0] == "torch" for name in reached("mecpaper.training.loop"))
