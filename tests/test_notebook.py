"""Notebooks in git are normalised, and the runner leaves the same bytes each time."""

import itertools
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from mecpaper.pipeline import notebook

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_committed_notebooks_are_executed_and_normalised(path):
    content = nbformat.read(path, as_version=4)
    nbformat.validate(content)
    assert path.read_text(encoding="utf-8") == nbformat.writes(notebook.normalise(content)) + "\n"
    counts = [cell.execution_count for cell in content.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_cells_are_short_and_the_first_one_is_a_title(path):
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    for cell in cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 15, cell.id
            assert "\nclass " not in f"\n{cell.source}", cell.id


LESSONS = [path for path in NOTEBOOKS if "01" <= path.stem[:2] <= "06"]


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_has_short_cells_pictures_questions_and_an_end(path):
    cells = nbformat.read(path, as_version=4).cells
    marks = re.findall(r"\*\*(Paper|Equations|Needs|Makes|Takes)\*\*", cells[0].source)
    assert marks == ["Paper", "Equations", "Needs", "Makes", "Takes"]
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert statistics.median(len(cell.source.splitlines()) for cell in code) <= 5
    seen = ["image/png" in output.get("data", {}) for cell in code for output in cell.outputs or [{}]]
    between = [len(list(group)) for shown, group in itertools.groupby(seen) if not shown]
    assert sum(seen) >= 2 and max(between) <= 6, "no picture for long"
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert 2 <= len(re.findall(r"(?m)^\*\*Try it: ", text)) == text.count("<details>") <= 3
    assert text.count("<summary>Answer</summary>\n\n") == text.count("\n\n</details>") == text.count("<details>")
    end = cells[-1].source
    remember = re.search(r"(?s)## What to remember\n\n(.*?)\n\n\*\*Next\*\*: \[\d\d[abc]? [^]]+\]\((\w+\.ipynb)\)", end)
    assert len(re.findall(r"[.](?:\s|$)", remember[1])) == 3
    assert (path.parent / remember[2]).is_file()


def _write(path, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def test_two_runs_leave_the_same_bytes(tmp_path):
    path = tmp_path / "a.ipynb"
    _write(path, "print('one')\nprint('two')", "import ipywidgets\nipywidgets.IntSlider()", "1 + 1")
    notebook.run(path)
    first = path.read_bytes()
    notebook.run(path)
    assert path.read_bytes() == first
    assert b"widget-0" in first and b"papermill" not in first


def _project(root, folder):
    for name in ("params.yaml", "dvc.yaml"):
        (folder / name).write_text((root / name).read_text())


def test_wrong_params_are_refused_before_a_kernel_starts(root, tmp_path):
    _project(root, tmp_path)
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("  - 8.0\n  - 10.0\n", "  - 10.0\n  - 8.0\n"))
    path = tmp_path / "a.ipynb"
    _write(path, "raise SystemExit('a kernel ran')")
    for arguments in ([str(path)], []):
        done = subprocess.run(
            [sys.executable, "-m", "mecpaper", "notebook", *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert done.stderr == "game.gain_db = [10.0, 8.0]: the first must not exceed the second\n"


def test_a_failing_notebook_is_left_unchanged_and_reported_in_one_line(root, tmp_path):
    _project(root, tmp_path)
    path = tmp_path / "a.ipynb"
    _write(path, "x = 1", "raise ValueError('seeds = [1, 1]: each seed once')")
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-m", "mecpaper", "notebook", str(path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert path.read_bytes() == before
    assert "cell 2: ValueError: seeds = [1, 1]: each seed once" in done.stderr.splitlines()[-1]


def test_kernels_profiles_and_styles_of_the_user_change_nothing(root, tmp_path, monkeypatch):
    _project(root, tmp_path)
    path = tmp_path / "a.ipynb"
    draw = "figure, (axes,) = figures.new_figure()\naxes.plot([1, 2])\nfigures.save(figure, Path(), 'drawn')"
    _write(path, "import sys\nsys.executable", f"from pathlib import Path\nfrom mecpaper.report import figures\n{draw}")
    notebook.run(path)
    calm = path.read_bytes(), (tmp_path / "drawn.svg").read_bytes()

    user = tmp_path / "user"
    for name, text in {
        "ipython/profile_default/startup/00.py": "raise SystemExit('the profile ran')",
        "ipython/profile_default/ipython_config.py": "get_config().InteractiveShell.ast_node_interactivity = 'all'",
        "startup.py": "print('started')",
        "kernels/python3/kernel.json": json.dumps({"argv": ["/none"], "display_name": "R", "language": "R"}),
        "matplotlibrc": "font.family: serif\nlines.linewidth: 3\nsavefig.dpi: 200\nno.such.key: 1\ntext.usetex: True\n",
    }.items():
        (user / name).parent.mkdir(parents=True, exist_ok=True)
        (user / name).write_text(text)
    monkeypatch.setenv("IPYTHONDIR", str(user / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(user / "startup.py"))
    monkeypatch.setenv("JUPYTER_PATH", str(user))
    monkeypatch.setenv("MATPLOTLIBRC", str(user))
    notebook.run(path)
    assert (path.read_bytes(), (tmp_path / "drawn.svg").read_bytes()) == calm
    assert sys.executable.encode() in calm[0] and os.environ["JUPYTER_PATH"] == str(user)


def test_a_style_of_the_user_does_not_reach_figures_drawn_without_a_kernel(tmp_path):
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 7\n")
    code = "from mecpaper.report.figures import matplotlib as m; print(m.rcParams['lines.linewidth'])"
    environment = os.environ | {"MATPLOTLIBRC": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "1.5\n", done.stderr


def test_a_kernel_that_is_killed_is_one_line_with_its_cell(root, tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    _write(path, "x = 1", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "x")
    before = path.read_bytes()
    assert notebook.run_all([path]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(f"{path}, cell 2: the kernel was killed") and path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"<<<<<<< HEAD\n{}", "not a notebook"),
        (b"", "not a notebook"),
        (b'{"cells": 1}', "not a notebook"),
        (b"[]", "not a notebook"),
        (b"\xff", "not a notebook"),
    ],
)
def test_a_damaged_notebook_is_one_line(content, reason, tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    if content is not None:
        path.write_bytes(content)
    assert notebook.run_all([path]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}: ") and reason in line


def test_a_watched_training_draws_again_only_after_a_pause_and_never_in_the_pipeline(monkeypatch):
    drawn, clock = [], iter([0.0, 0.0, 1.0, notebook.PAUSE + 1.0, notebook.PAUSE + 1.0])
    monkeypatch.setattr(notebook, "report", lambda *state: None)
    monkeypatch.setattr(notebook.time, "monotonic", lambda: next(clock))
    monkeypatch.delenv(notebook.PROGRESS_VARIABLE, raising=False)
    progress = notebook.watch(lambda: drawn.append("picture"))
    for done in range(3):
        progress(done, 3, "x")
    assert len(drawn) == 2
    monkeypatch.setenv(notebook.PROGRESS_VARIABLE, "file")
    progress(3, 3, "x")
    assert len(drawn) == 2
