"""What an installation contains and needs, and that all files that list it agree."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

import mecpaper
from mecpaper.training.live import KINDS

ROOT = Path(__file__).resolve().parents[1]
STACK = {
    *("IPython", "ipykernel", "ipywidgets", "jupyter_client", "jupyter_core", "jupyterlab", "nbclient", "nbformat"),
    *("papermill", "matplotlib", "PIL", "seaborn", "dvc", "sphinx", "myst_nb", "distributed", "dask", "onnx"),
    *("onnxruntime", "cma", "pettingzoo", "gymnasium", "pytest", "hypothesis"),
}
"""Modules that a plain `pip install .` does not bring."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14")

EXTRAS = {
    "edition": "site",
    "env.parallel": "game",
    "explorer": "explorer",
    "pipeline": "notebooks",
    "report.diagram_parts": "figures",
    "report.diagrams": "figures",
    "report.figures": "figures",
    "report.naming": "figures",
    "report.pictures": "notebooks",
    "report.training": "figures",
    "report.verdicts": "figures",
}
"""Room or module of the package that cannot be imported without an extra -> the extra."""


@cache
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@cache
def locked():
    """Name -> requirement of requirements.lock, with an exact version."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"==[^*,]+", str(requirement.specifier)) for requirement in requirements)
    found = {canonicalize_name(requirement.name): requirement for requirement in requirements}
    assert len(found) == len(requirements)
    return found


def version(name):
    """Version of requirements.lock."""
    return str(locked()[name].specifier).removeprefix("==")


def is_needed(requirement, python):
    """Whether a requirement holds on a Python such as "3.12"; on the system that runs the tests."""
    environment = {"python_version": python, "python_full_version": f"{python}.5", "extra": ""}
    return requirement.marker is None or requirement.marker.evaluate(environment)


def read_yaml(name):
    return YAML(typ="safe").load((ROOT / name).read_text(encoding="utf-8"))


RELEASED = ["make benchmarl", "make audit", "make sbom", "make site"]
"""What the workflow runs besides continuous integration."""


def make_commands(text):
    return re.findall(r"^\s*(?:- run: )?(make \w+)$", text, re.MULTILINE)


# -- importing ---------------------------------------------------------------------------------------------


def run_python(*arguments):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("module", ["mecpaper", "mecpaper.config", "mecpaper.env.game"])
def test_importing_the_model_loads_nothing_of_the_notebook_stack(module):
    lines = run_python("-X", "importtime", "-c", f"import {module}").stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert module in loaded
    assert not {name.split(".")[0] for name in loaded} & (STACK | {"scipy", "pandas"})
    if module != "mecpaper.env.game":
        assert "torch" not in loaded


def test_without_extras_all_but_a_few_modules_can_be_imported():
    code = f"""
import importlib, pkgutil, sys
class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {sorted(STACK)}:
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
import mecpaper
for module in pkgutil.walk_packages(mecpaper.__path__, "mecpaper."):
    part = module.name.removeprefix("mecpaper.")
    if any(f"{{part}}.".startswith(f"{{extra}}.") for extra in {sorted(EXTRAS)}) or part == "__main__":
        continue
    importlib.import_module(module.name)
    print(part)
"""
    parts = set(run_python("-c", code).stdout.split())
    assert {"config", "env.game", "training.cluster", "policies.export", "policies.planner", "claims"} <= parts


@pytest.mark.parametrize("part", EXTRAS)
def test_what_needs_an_extra_exists_and_so_does_the_extra(part):
    place = ROOT / "mecpaper" / part.replace(".", "/")
    assert place.with_suffix(".py").is_file() or place.is_dir()
    assert EXTRAS[part] in project()["optional-dependencies"]


def test_the_wheel_brings_every_module_and_the_marker_of_types():
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "mecpaper").rglob("*.py")}
    found = setuptools.find_packages(str(ROOT), **tables["packages"]["find"])
    assert {".".join(folder.parts) for folder in folders} == set(found)
    others = {p.name for p in (ROOT / "mecpaper").rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    assert others == {"py.typed"} and "py.typed" in tables["package-data"]["mecpaper"]


def test_away_from_the_project_one_line_says_how_to_name_it(tmp_path, monkeypatch):
    from mecpaper.config import ConfigError, find_root

    monkeypatch.delenv("MECPAPER_ROOT", raising=False)
    with pytest.raises(ConfigError, match=r"no params\.yaml with dvc\.yaml") as refused:
        find_root("/")
    assert "\n" not in str(refused.value)


# -- one environment, listed in several places -------------------------------------------------------------


def test_the_lock_has_a_version_in_range_of_every_dependency_but_those_of_live_logs():
    extras = project()["optional-dependencies"]
    # `make browser` installs that extra on top of the lock; its versions are exact already.
    assert all("==" in line for line in extras["browser"])
    locked_extras = set(extras) - {"browser", *KINDS}
    lines = project()["dependencies"] + [line for name in sorted(locked_extras) for line in extras[name]]
    for requirement in map(Requirement, lines):
        name = canonicalize_name(requirement.name)
        if name == project()["name"]:
            assert requirement.extras <= set(extras)
            continue
        assert name in locked(), f"{name}: not in requirements.lock"
        assert requirement.specifier, f"{name}: no range"
        assert requirement.specifier.contains(version(name)), f"{requirement}: {version(name)} is locked"
        assert requirement.marker == locked()[name].marker


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_needs_nothing_that_it_does_not_name(python):
    names = {name for name, requirement in locked().items() if is_needed(requirement, python)}
    absent = set()
    for name in names:
        try:
            needed = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            assert locked()[name].marker is not None, name
            continue
        absent |= {canonicalize_name(one.name) for one in map(Requirement, needed) if is_needed(one, python)}
    absent -= names | {"pip"}
    # What torch's builds for CUDA bring.
    assert not {name for name in absent if not name.startswith(("nvidia-", "cuda-", "triton"))}


def test_every_version_but_that_of_torch_has_hashes():
    text = (ROOT / "hashes.lock").read_text(encoding="utf-8")
    entries = re.findall(r"(?m)^(\S.*) \\\n((?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text)
    assert len(entries) == len(locked()) - 1 and "torch" in locked()
    for entry in (Requirement(line) for line, _ in entries):
        wanted = locked()[canonicalize_name(entry.name)]
        assert entry.specifier == wanted.specifier
        assert [is_needed(entry, python) for python in PYTHONS] == [is_needed(wanted, python) for python in PYTHONS]
    rule = re.search(r"(?m)^\.venv/\.ready:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"))[1]
    assert rule.index("--no-deps --require-hashes -r hashes.lock") < rule.index("-r requirements.lock")


def test_whoever_imports_the_package_is_free_in_the_versions_of_its_other_packages():
    bounds = [Requirement(line).specifier for line in project()["dependencies"]]
    assert {specifier.operator for specifiers in bounds for specifier in specifiers} == {">="}


@pytest.mark.parametrize("python", ["3.10.9", "3.11.4", *(f"{python}.5" for python in PYTHONS), "3.15.0"])
def test_make_takes_the_first_python_that_fits_and_refuses_others_in_one_line(python, tmp_path):
    for name in ("Makefile", "requirements.lock", "hashes.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    fake = tmp_path / "bin" / "python3"
    fake.parent.mkdir()
    code = f"import sys; sys.version_info = {(*map(int, python.split('.')), 'final', 0)}; exec(sys.argv[1])"
    fake.write_text(
        f'#!/bin/sh\n[ "$1" = -m ] && echo "made with -m $2" && exit 9\nexec {sys.executable} -c "{code}" "$2"\n'
    )
    fake.chmod(0o755)
    environment = {"PATH": str(fake.parent)}
    done = subprocess.run(
        [shutil.which("make"), "train"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    if ".".join(python.split(".")[:2]) in PYTHONS and python != "3.11.4":
        assert "made with -m venv" in done.stdout
    else:
        assert "Python 3.11.5 to 3.14 is needed" in done.stdout and len(done.stdout.splitlines()) == 1


def test_the_tools_that_judge_code_are_pinned():
    pinned = {Requirement(line).name: line for line in project()["optional-dependencies"]["dev"] if "==" in line}
    assert {"mypy", "ruff"} <= set(pinned)


def test_conda_gets_the_same_python_and_the_same_versions():
    environment = read_yaml("environment.yml")
    assert environment["channels"] == ["conda-forge"]
    *named, last = environment["dependencies"]
    assert last == {"pip": ["-r requirements.lock", "-e ."]}
    assert "pip" in named
    for line in named:
        name, _, number = line.partition("=")
        if name == "python":
            assert number in PYTHONS and SpecifierSet(project()["requires-python"]).contains(number)
        elif name != "pip":
            assert not number or SpecifierSet(f"=={number}.*").contains(version(canonicalize_name(name))), line


def test_the_addresses_open_the_explorer_in_an_environment_of_locked_versions():
    lines = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert f"torch=={version('torch')}" in lines and "-e .[explorer]" in lines
    assert (ROOT / "binder" / next(line for line in lines if line.startswith("-c ")).split()[1]).is_file()
    assert (ROOT / "binder" / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-") in PYTHONS
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    opened = re.findall(r"https://(?:mybinder|colab)\.\S+?/(notebooks/\w+\.ipynb)", readme)
    assert opened == ["notebooks/40_explorer.ipynb"] * 2 and (ROOT / opened[0]).is_file()


def test_the_workflow_runs_what_ci_runs_on_every_python():
    text = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    commands = make_commands((ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert {"make test", "make browser"} <= set(commands) and make_commands(text) == [*commands, *RELEASED]
    workflow = YAML(typ="safe").load(text)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120 and "permissions" not in job
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) for action in used)
    job = workflow["jobs"]["test"]
    (python,) = [step["with"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
    assert python == {"python-version": "${{ matrix.python }}"}
    assert tuple(job["strategy"]["matrix"]["python"]) == PYTHONS


def test_commits_are_checked_as_make_lint_does_and_from_this_environment():
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert lint is not None
    wanted = {command.strip().removesuffix(" .") for command in re.split(r"&&|\n", lint[1]) if command.strip()}
    entries = set()
    for repository in read_yaml(".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system" and hook["entry"].startswith(".venv/bin/")
            entries.add(hook["entry"].removeprefix(".venv/bin/").removesuffix(" --force-exclude"))
    assert entries == wanted


def test_the_citation_and_the_changes_are_of_this_version():
    citation = read_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software" and citation["message"]
    assert citation["version"] == mecpaper.__version__ == importlib.metadata.version("mecpaper")
    # Made by `cffconvert -f codemeta -o codemeta.json`.
    codemeta = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
    assert (codemeta["name"], codemeta["version"]) == (citation["title"], citation["version"])
    assert citation["license"] == project()["license"] == "MIT"
    paper = citation["references"][0]
    assert (paper["journal"], paper["volume"], paper["year"], paper["number"]) == (
        "Computer Networks", 280, 2026, "112164"
    )  # fmt: skip
    heading = f"## [{mecpaper.__version__}] - {citation['date-released']}"
    assert heading in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_crate_names_files_that_exist_and_says_what_codemeta_says():
    # Made by `make crate`.
    crate = json.loads((ROOT / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    root, about = entities["./"], json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
    assert (
        entities["ro-crate-metadata.json"]["about"] == {"@id": "./"} and root["datePublished"] == about["datePublished"]
    )
    for key in ("name", "description", "version", "keywords"):
        assert root[key] == about[key]
    assert root["license"] == {"@id": about["license"]} and about["license"] in entities
    assert [entities[one["@id"]]["name"] for one in root["creator"]] == [one["name"] for one in about["author"]]
    assert entities["#paper"]["name"] == read_yaml("CITATION.cff")["references"][0]["title"]
    parts = [part["@id"] for part in root["hasPart"]]
    assert {"params.yaml", "hashes.lock", "data/paper/", "data/runs/", "figures/", "notebooks/"} <= set(parts)
    for part in parts:
        kind = entities[part]["@type"]
        assert (ROOT / part).is_dir() if part.endswith("/") else (ROOT / part).is_file()
        assert kind == ("Dataset" if part.endswith("/") else "File") and entities[part]["description"]


def test_every_target_of_make_has_a_call_without_it_in_the_readme():
    targets = set(
        re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| make | the same without it |")[2].partition("\n\n")[0]
    named = {name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    # Removing files needs no command; the lock is made on Linux.
    assert named == targets - {"clean", "lock"}
