"""Who may import whom: rooms one way, figures and verdicts without torch, and stages that name all they run."""

import ast
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from dvc.dependency import Dependency
from dvc.repo import Repo

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mecpaper"

ROOMS = {
    "config": set(),
    "system": set(),
    "store": {"config"},
    "report": {"config", "store"},
    "env": {"config", "system"},
    "algorithms": {"config", "system", "env"},
    "training": {"config", "store", "env", "algorithms"},
    "policies": {"config", "store", "system", "env", "algorithms", "report"},
    "claims": {"config", "store", "report"},
    "explorer": {"config", "system", "env", "policies", "training", "report"},
    "edition": {"config", "claims", "report"},
    "pipeline": {"config", "store", "training"},
    "commands": {"config", "store", "report", "env", "training", "policies", "claims", "pipeline"},
}
"""Room -> the rooms it may import, at most. Each stands below those that may import it."""

NO_TORCH = ("config", "store", "report", "claims", "edition", "pipeline.notebook", "pipeline.rebuild")
MAX_LINES = 350


def imports(source: str, module: str, is_package: bool = False) -> set[str]:
    """Full names of everything a module imports anywhere in its code, also inside functions and by "module:name"."""
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


def learners() -> set[str]:
    """Modules that the registry names as "mecpaper.module:Class", imported by whoever calls `learner_class`."""
    return set(re.findall(r'"(mecpaper\.[\w.]+):\w+"', sources()["mecpaper.config.registry"][1]))


@cache
def sources() -> dict[str, tuple[Path, str]]:
    """Module of the package -> its file and text."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path, path.read_text(encoding="utf-8")
    return found


def module_of(name: str) -> str:
    """The module that an imported object belongs to."""
    while name.startswith("mecpaper.") and name not in sources():
        name = name.rpartition(".")[0]
    return name


@cache
def graph() -> dict[str, set[str]]:
    """Module of the package -> modules it imports."""
    return {
        name: {module_of(found) for found in imports(text, name, path.name == "__init__.py")} - {name}
        for name, (path, text) in sources().items()
    }


def room(module: str) -> str:
    """The part of the package that a module belongs to: its name below `mecpaper`."""
    return module.removeprefix("mecpaper").removeprefix(".").partition(".")[0]


def rooms_of(names: set[str]) -> set[str]:
    return {room(name) for name in names if name.split(".")[0] == "mecpaper"} - {""}


def reached(start: set[str]) -> set[str]:
    """All that modules import, directly or through others, and the learners where one of them makes learners."""
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        # Importing a.b runs a as well.
        parts = name.split(".")
        waiting += [".".join(parts[:length]) for length in range(1, len(parts))]
        waiting += graph().get(name, ())
        if ".learner_class()" in sources().get(name, ("", ""))[1]:
            waiting += learners()
    return seen


# -- rooms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_only_those_below_it(name):
    members = [module for module in graph() if room(module) == name]
    assert members
    for module in members:
        assert rooms_of(graph()[module]) - {name} <= ROOMS[name], module


def test_the_rooms_go_one_way():
    order = list(ROOMS)
    above = {name: {below for below in ROOMS[name] if order.index(below) >= order.index(name)} for name in order}
    assert not any(above.values()), above


def test_the_root_of_the_package_holds_rooms_and_no_modules():
    files = sorted(path.name for path in PACKAGE.iterdir() if path.is_file())
    assert files == ["__init__.py", "__main__.py", "py.typed"]
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} == set(ROOMS)


def test_no_two_modules_import_each_other():
    for module, names in graph().items():
        for other in names:
            is_parent = module.startswith(f"{other}.") or other.startswith(f"{module}.")
            assert is_parent or module not in graph().get(other, ()), f"{module} and {other}"


@pytest.mark.parametrize("name", NO_TORCH)
def test_what_makes_figures_tables_and_verdicts_knows_no_torch(name):
    members = {module for module in graph() if f"{module}.".startswith(f"mecpaper.{name}.")}
    assert members
    assert not {found for found in reached(members) if found.split(".")[0] == "torch"}


def test_of_the_learners_modules_none_imports_another():
    for name in learners():
        assert not graph()[name] & (learners() - {name}), name


def test_nothing_imports_notebooks_or_the_command_line():
    for module, names in graph().items():
        assert not {name for name in names if name.split(".")[0] == "notebooks" or name == "mecpaper.__main__"}, module


def test_no_file_of_the_package_is_long():
    long = {name: lines for name, (_, text) in sources().items() if (lines := len(text.splitlines())) > MAX_LINES}
    assert not long


def test_the_package_itself_imports_nothing():
    assert graph()["mecpaper"] == set()
    code = "import sys, mecpaper; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_reader_of_imports_sees_every_form():
    source = "import torch.nn\nfrom . import sibling\nfrom ..env import Game\ndef f():\n    from mecpaper import config"
    found = imports(source, "mecpaper.system.energy")
    assert found == {"torch.nn", "mecpaper.system.sibling", "mecpaper.env.Game", "mecpaper.config"}
    assert imports("from .common import named", "mecpaper.algorithms", True) == {"mecpaper.algorithms.common.named"}
    assert "torch" in {name.split(".")[0] for name in reached({"mecpaper.training.loop"})}
    assert "mecpaper.algorithms.maddpg" in reached({"mecpaper.training.loop"})
    assert "mecpaper.algorithms.maddpg" not in reached({"mecpaper.env.game"})


# -- stages ------------------------------------------------------------------------------------------------


@cache
def stages() -> dict[str, dict]:
    """Stages of dvc.yaml as DVC resolves them, by name: cmd, deps, outs."""
    repo = Repo(str(ROOT), uninitialized=True)
    return {
        stage.addressing: {
            "cmd": stage.cmd,
            "deps": [dep.def_path for dep in stage.deps if type(dep) is Dependency],
            "outs": [out.def_path for out in stage.outs],
        }
        for stage in repo.index.stages
    }


def run_by(command: str) -> set[str]:
    """Files of the package that a stage's command runs."""
    words = command.split()
    assert words[:3] == ["python", "-m", "mecpaper"], command
    called = f"mecpaper.{_called(words[3])}"
    start = {called}
    for path in (ROOT / word for word in words[4:] if word.endswith(".ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                code = re.sub(r"(?m)^%.*$", "", "".join(cell["source"]))
                start |= {module_of(found) for found in imports(code, path.stem)}
    modules = {name for name in reached(start) if name in sources() and name != "mecpaper.__main__"}
    return {sources()[name][0].relative_to(ROOT).as_posix() for name in modules}


def _called(command: str) -> str:
    """Module that a stage's command calls, below the package."""
    from mecpaper.commands.project import STEPS

    return STEPS[command][1].partition(":")[0] if command in STEPS else {"notebook": "pipeline.notebook"}[command]


def covers(place: str, path: str) -> bool:
    """Whether a dependency or output is a file or holds it."""
    return path == place or path.startswith(f"{place}/")


@pytest.mark.parametrize("name", list(stages()))
def test_a_stage_depends_on_all_of_the_package_that_it_runs(name):
    stage = stages()[name]
    gaps = {path for path in run_by(stage["cmd"]) if not any(covers(place, path) for place in stage["deps"])}
    assert gaps - {"mecpaper/__init__.py"} == set()


@pytest.mark.parametrize("name", list(stages()))
def test_a_stage_depends_on_each_file_of_data_that_its_notebook_names(name):
    stage = stages()[name]
    for path in (ROOT / word for word in stage["cmd"].split() if word.endswith(".ipynb")):
        text = "".join("".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code")
        for found in re.findall(r"data/\w+/[\w.]+\.csv|benchmarks/\w+\.json", text):
            assert any(covers(place, found) for place in [*stage["deps"], *stage["outs"]]), found


def test_a_stage_that_plays_games_depends_on_the_measurements_that_params_may_name():
    plays = {name for name, stage in stages().items() if any(covers("mecpaper/env", dep) for dep in stage["deps"])}
    assert {"train@maddpg", "controls", "optimum", "search", "explore", "derive@04_game"} <= plays
    assert {name for name, stage in stages().items() if "data/traces" in stage["deps"]} == plays


def test_dvc_notices_another_content_of_a_trace(tmp_path):
    shutil.copytree(ROOT / "data" / "traces", tmp_path / "data" / "traces")
    stage = {"cmd": "true", "deps": [dep for dep in stages()["train@maddpg"]["deps"] if dep.startswith("data/")]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"train": stage}}))
    Repo.init(str(tmp_path), no_scm=True).commit(force=True)
    assert Repo(str(tmp_path)).status() == {}
    with (tmp_path / "data/traces/drive.csv").open("a") as file:
        file.write("300,0,9,1\n")
    # The key is the stage's place seen from the working directory.
    assert list(Repo(str(tmp_path)).status().values()) == [[{"changed deps": {"data/traces": "modified"}}]]


def test_every_generated_file_is_an_output_of_one_stage():
    outs = [out for stage in stages().values() for out in stage["outs"]]
    assert len(outs) == len(set(outs))
    tracked = [path for folder in ("figures", "data/runs") for path in (ROOT / folder).rglob("*") if path.is_file()]
    orphans = {path.relative_to(ROOT).as_posix() for path in tracked}
    assert not {path for path in orphans if not any(covers(out, path) for out in outs)}


def test_no_stage_writes_what_is_written_by_hand():
    for name, stage in stages().items():
        assert not [out for out in stage["outs"] if covers("data/paper", out) or out.endswith("README.md")], name


def test_a_gap_in_the_dependencies_is_found():
    needed = run_by("python -m mecpaper notebook notebooks/20_overall_comparison.ipynb")
    assert "mecpaper/report/figures.py" in needed and "mecpaper/claims/rules.py" in needed
    assert not any(path.startswith("mecpaper/algorithms") for path in needed)
    assert covers("mecpaper/report", "mecpaper/report/figures.py")
    assert not covers("mecpaper/report", "mecpaper/reports.py") and not covers(
        "mecpaper/claims", "mecpaper/report/a.py"
    )
