"""A damaged table is refused in a line with its file, the row or column, and the way to get it back."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from mecpaper.__main__ import main
from mecpaper.config import ConfigError
from mecpaper.config.root import remedy
from mecpaper.config.tables import COLUMNS, MAY_BE_EMPTY, read_json, read_table
from mecpaper.env.logs import convert
from mecpaper.explorer.state import read_reported, read_seeds
from mecpaper.policies.planner import planned_local
from tests.conftest import ROOT

FILES = sorted(
    [*ROOT.glob("data/paper/*.csv"), *ROOT.glob("data/runs/*.csv"), *ROOT.glob("data/runs/m*/default/*.csv")]
)
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]


def edited(content, row, change):
    """The file with one of its rows changed; row 1 is the header."""
    lines = content.split(b"\n")
    lines[row - 1] = change(lines[row - 1])
    return b"\n".join(lines)


def torn(content, share=0.6):
    """The beginning of the file, up to the middle of a row."""
    end = content.index(b"\n", int(share * len(content)))
    return content[: end - 1]


def twice(header):
    """The header with its first name also in the place of the second."""
    first, _, *others = header.split(b",")
    return b",".join([first, first, *others])


DAMAGE = {
    "empty": (lambda content: b"", "empty"),
    "zeros": (lambda content: bytes(len(content)), "empty"),
    "torn in its last row": (lambda content: content[:-3], r"row \d+: "),
    "torn": (torn, r"row \d+: "),
    "zeros after a power cut": (lambda content: content[:-9] + bytes(9), r"row \d+: "),
    "conflict": (lambda content: edited(content, 2, lambda row: b"<<<<<<< HEAD\n" + row), "row 2: 1 values, but "),
    "other encoding": (lambda content: edited(content, 2, lambda row: row + b"\xe4"), "row 2: not text in UTF-8"),
    "one value more": (
        lambda content: edited(content, 2, lambda row: row + b",1"),
        r"row 2: \d+ values, but \d+ names",
    ),
    "open quotes": (lambda content: edited(content, 2, lambda row: b'"' + row.replace(b'"', b"")), r"row \d+: "),
    "column twice": (lambda content: edited(content, 1, twice), "row 1: a column twice"),
}


@pytest.fixture
def project(tmp_path):
    """A folder with the marks of a project."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def placed(project, name, content):
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def refusal(path, **how):
    with pytest.raises(ConfigError) as refused:
        read_table(path, **how)
    told = str(refused.value)
    assert "\n" not in told and told.startswith(f"{path}: ")
    return told


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_table_is_read_as_it_is_and_has_its_columns(name):
    path = ROOT / name
    pd.testing.assert_frame_equal(read_table(path), pd.read_csv(path))
    texts, numbers = (part.split() for part in COLUMNS[path.stem].split("|"))
    assert {*texts, *numbers} <= set(pd.read_csv(path, nrows=0)) and not {*texts} & {*numbers}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_table_is_refused_with_its_place_and_the_way_back(project, name, kind):
    damage, message = DAMAGE[kind]
    told = refusal(placed(project, name, damage((ROOT / name).read_bytes())))
    assert re.search(f": {message}", told) and f"restore it (git checkout -- {name}, or from the archive)" in told


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_table_a_missing_column_and_a_wrong_number_are_named(project, name):
    told = refusal(project / name)
    assert "no such file; restore it" in told
    table = pd.read_csv(ROOT / name, dtype=str, keep_default_na=False)
    texts, numbers = (part.split() for part in COLUMNS[(ROOT / name).stem].split("|"))
    for column in (*texts, *numbers):
        content = table.drop(columns=column).assign(more=1).to_csv(index=False).encode()
        assert f": column {column}: missing; " in refusal(placed(project, name, content))
    for column in numbers:
        table.loc[0, column] = "1.2.3"
        told = refusal(placed(project, name, table.to_csv(index=False).encode()))
        assert f": row 2, {column} = '1.2.3': a number; " in told
        table.loc[0, column] = ""
    rows = table[:0].to_csv(index=False).encode()
    path = placed(project, name, rows)
    if path.stem in MAY_BE_EMPTY:
        assert read_table(path).empty
    else:
        assert ": no rows below the header; " in refusal(path)


def test_what_holds_true_or_false_holds_nothing_else(project):
    name = "data/runs/planner.csv"
    path = placed(project, name, (ROOT / name).read_bytes().replace(b"True", b"Tru", 1))
    assert ", constrained = 'Tru': True or False; " in refusal(path)


def test_an_optional_table_may_be_missing_but_not_damaged(project):
    path = project / "data" / "runs" / "planner.csv"
    table = read_table(path, optional=True)
    assert table.empty and {"game", "constrained", "reward"} <= set(table)
    placed(project, "data/runs/planner.csv", b"game,policy\n")
    refusal(path, optional=True)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("data/paper/claims.csv", "git checkout -- data/paper/claims.csv, or from the archive)"),
        ("data/runs/planner.csv", "or from the archive), or delete it and run mecpaper repro"),
        ("data/runs/maddpg/default/curves.csv", "or delete its folder to train this experiment again"),
    ],
)
def test_the_way_back_is_that_of_the_place(project, tmp_path_factory, name, way):
    assert remedy(project / name).endswith(way)
    (project / "data").mkdir(exist_ok=True)
    (project / "data" / "link.csv").symlink_to(tmp_path_factory.mktemp("other") / "x.csv")
    assert "data/link.csv" in remedy(project / "data" / "link.csv")
    assert remedy(tmp_path_factory.mktemp("elsewhere") / name) == "" == remedy(project / "mine.csv")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"a": 1', None])
def test_a_damaged_json_file_is_named(project, content):
    path = project / "benchmarks" / "results.json"
    if content is not None:
        placed(project, "benchmarks/results.json", content)
    with pytest.raises(ConfigError) as refused:
        read_json(path)
    told = str(refused.value)
    assert told.startswith(f"{path}: ") and "git checkout -- benchmarks/results.json" in told and "\n" not in told


# -- as a user meets them -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["site"], "data/paper/claims.csv"),
        (["decide"], "data/paper/reported.csv"),
        (["decide"], "benchmarks/results.json"),
        (["summary"], "data/runs/summary.csv"),
        (["readme"], "data/runs/verdicts.csv"),
        (["search"], "data/runs/tuning.csv"),
        (["site"], "data/paper/equations.csv"),
        (["site"], "docs/alternatives.csv"),
        (["site"], "notebooks/04_game.ipynb"),
    ],
)
def test_a_command_ends_in_one_line(project, monkeypatch, capsys, command, name):
    for folder in ("data", "docs", "benchmarks", "notebooks"):
        shutil.copytree(ROOT / folder, project / folder, dirs_exist_ok=True)
    shutil.copy(ROOT / "README.md", project)
    path = placed(project, name, (ROOT / name).read_bytes()[:-4])
    monkeypatch.chdir(project)
    monkeypatch.setenv("MECPAPER_ROOT", str(project))
    assert main(command) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith(f"{path}: ") and f"git checkout -- {name}" in told


@pytest.mark.parametrize("name", ["data/paper/reported.csv", "data/runs/summary.csv", "data/runs/planner.csv"])
def test_the_explorer_names_a_damaged_table(project, settings, name):
    shutil.copytree(ROOT / "data" / "paper", project / "data" / "paper")
    path = placed(project, name, (ROOT / name).read_bytes()[:-4])
    with pytest.raises(ConfigError, match=re.escape(f"{path}: row ")):
        (read_reported(project, settings), read_seeds(project), planned_local(project, settings.game))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("kpi_0.csv", lambda content: b""),
        ("kpi_0.csv", lambda content: content[: content.index(b",", len(content) // 2)]),
        ("kpi_0.csv", lambda content: content.replace(b"Timestamp", b"Tim", 1)),
        ("throughput.txt", lambda content: b""),
        ("throughput.txt", lambda content: content[:-2]),
        ("throughput.txt", lambda content: content + b"later 1\n"),
    ],
)
def test_a_damaged_log_of_the_project_is_named(project, name, damage):
    path = placed(project, f"data/traces/{name}", damage((ROOT / "data" / "traces" / name).read_bytes()))
    with pytest.raises(ConfigError) as refused:
        convert([path], "kpi" if name.endswith("csv") else "throughput", 0.1)
    told = str(refused.value)
    assert told.startswith(f"{path}: ") and f"git checkout -- data/traces/{name}" in told and "\n" not in told


@pytest.mark.parametrize("key", ["traces", "accuracy_curve"])
@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: content[:-3], lambda content: content + b"<<<<<<< HEAD\n", None],
)
def test_a_damaged_measurement_of_the_project_is_named(project, settings, monkeypatch, key, damage):
    name = {"traces": "data/traces/drive.csv", "accuracy_curve": "data/traces/accuracy.csv"}[key]
    if damage is not None:
        placed(project, name, damage((ROOT / name).read_bytes()))
    monkeypatch.chdir(project)
    monkeypatch.setenv("MECPAPER_ROOT", str(project))
    (project / "data" / "traces").mkdir(parents=True, exist_ok=True)
    with pytest.raises(ConfigError) as refused:
        settings.game.changed(**{key: name})
    told = str(refused.value)
    assert told.startswith(f"game.{key} = '{name}': ") and f"git checkout -- {name}" in told and "\n" not in told


def test_numbers_of_a_table_stay_numbers(project):
    name = "data/runs/summary.csv"
    assert np.issubdtype(read_table(ROOT / name)["reward"].dtype, np.floating)
