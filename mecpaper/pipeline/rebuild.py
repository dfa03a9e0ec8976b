"""Run the whole pipeline from scratch at a chosen scale, in a separate folder.

The sources of the pipeline are copied there and `dvc repro` is run, so that committed results stay untouched. An
interrupted rebuild continues where it stopped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from filelock import FileLock, Timeout

from mecpaper.config import ConfigError, find_root, load
from mecpaper.config.tables import read_table
from mecpaper.store.files import make_folder, write_atomically

SOURCES = (
    *("params.yaml", "dvc.yaml", "mecpaper", "notebooks", "data/paper", "data/traces", "docs"),
    *("benchmarks/results.json", "README.md", "CITATION.cff", ".dvcignore"),
)
MADE, UNFINISHED = ".made-by-mecpaper", ".unfinished"
"""Files in a folder that `prepare` made, and in one whose rebuild was interrupted; no other folder is ever emptied."""


def with_scale(params: str, scale: str) -> str:
    """Set the key `scale` in the text of params.yaml.

    Raises:
        ConfigError: the text does not have the key exactly once.
    """
    changed, count = re.subn(r"(?m)^scale: \S+", f"scale: {scale}", params)
    if count != 1:
        raise ConfigError("scale: one line 'scale: <name>' is required in params.yaml")
    return changed


def prepare(root: Path, folder: Path, scale: str) -> None:
    """Copy the pipeline's sources into a folder; keep results there only if a rebuild was interrupted.

    A process that a kill left behind may still read these files: what is the same stays, the rest is replaced at once.

    Raises:
        ConfigError: unknown scale.
    """
    scales = load(root / "params.yaml").scales
    if scale not in scales:
        raise ConfigError(f"scale = {scale!r}: one of {', '.join(scales)}")
    if folder.exists() and not (folder / UNFINISHED).exists():
        shutil.rmtree(folder)
    make_folder(folder)
    for mark in (MADE, UNFINISHED):
        (folder / mark).touch()
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in SOURCES:
        source, target = root / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignore, copy_function=_copy)
        elif name == "params.yaml":
            _place(target, with_scale(source.read_text(encoding="utf-8"), scale).encode())
        else:
            _copy(source, target)
    load(folder / "params.yaml")


def _copy(source: str | Path, target: str | Path) -> None:
    _place(Path(target), Path(source).read_bytes())


def _place(path: Path, content: bytes) -> None:
    """Write a file, atomically, unless it has this content."""
    if not path.exists() or path.read_bytes() != content:
        write_atomically(path, content)


@contextmanager
def claimed(root: Path, folder: Path) -> Iterator[None]:
    """Hold the lock of a folder to work in.

    Raises:
        ConfigError: the folder holds something else, or another run is at work in it.
    """
    is_inside = root in folder.parents and root / "build" not in folder.parents
    if folder == root or folder in root.parents or is_inside:
        raise ConfigError(f"folder = {str(folder)!r}: a folder outside the project, or below its folder build")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"folder = {str(folder)!r}: a folder, not a file")
    if folder.exists() and any(folder.iterdir()) and not (folder / MADE).exists():
        raise ConfigError(f"folder = {str(folder)!r}: a new or empty folder, or one that this command has made")
    make_folder(folder.parent)
    try:
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0):
            yield
    except Timeout:
        raise ConfigError(f"folder = {str(folder)!r}: another run is at work there; wait for it or stop it") from None


def rebuild(root: Path, folder: Path, scale: str) -> int:
    """Prepare the folder, run `dvc repro` in it, and return its exit status.

    Raises:
        ConfigError: unknown scale, a folder that holds something else, or another run is at work in it.
    """
    with claimed(root, folder):
        return _rebuild(root, folder, scale)


def _rebuild(root: Path, folder: Path, scale: str) -> int:
    prepare(root, folder, scale)
    if not (folder / ".dvc").exists() and (status := dvc(folder, "init", "--no-scm", "--quiet")):
        return status
    status = dvc(folder, "repro")
    if status == 0:
        (folder / UNFINISHED).unlink()
    return status


def dvc(folder: Path, *arguments: str) -> int:
    """Run DVC in a folder and return its exit status; stages run this interpreter, activated or not."""
    _forget_the_dead(folder / ".dvc" / "tmp" / "rwlock")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    own = {"MECPAPER_ROOT": str(folder), "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1", "PATH": path}
    # The Makefile explains why DVC's cache is not in its usual place.
    environment = os.environ | own | {"DVC_SITE_CACHE_DIR": str(folder / ".dvc" / "tmp" / "site")}
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, env=environment).returncode


def _forget_the_dead(path: Path) -> None:
    """Remove from DVC's lock file the processes that no longer work, or the file if a kill has torn it.

    DVC would wait for a killed process that its parent has not reaped, and for another that got its number.
    """
    try:
        lock, written = json.loads(path.read_text(encoding="utf-8")), path.stat().st_mtime
    except FileNotFoundError:
        return
    except ValueError:
        path.unlink()
        return
    writers, readers = lock.get("write", {}), lock.get("read", {})
    pids = {entry["pid"] for entry in chain(writers.values(), *readers.values())}
    working = {pid for pid in pids if _works_since(pid, written)}
    if pids == working:
        return
    left = {name: [entry for entry in entries if entry["pid"] in working] for name, entries in readers.items()}
    kept = {
        "write": {name: entry for name, entry in writers.items() if entry["pid"] in working},
        "read": {name: entries for name, entries in left.items() if entries},
    }
    write_atomically(path, json.dumps(kept))


def _works_since(pid: int, moment: float) -> bool:
    """Whether a process lives, and began before a moment, in s since 1970."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= moment
    except psutil.NoSuchProcess:
        return False


def outcome(folder: Path) -> str:
    """Summarise the final measures of each experiment in a few lines."""
    summary = read_table(folder / "data" / "runs" / "summary.csv")
    by = ["algorithm", "scenario"]
    columns = ["reward", "energy", "cost_limit", "ecpr_f", "sor", "offload_share"]
    table = summary.groupby(by)[columns].mean().round(3).assign(seeds=summary.groupby(by)["seed"].nunique())
    return f"Means over seeds, noise-free episodes:\n{table.to_string()}\n"


def rebuild_and_report(scale: str, folder: Path) -> int:
    """Rebuild in a folder, print the results and where they are, and return the exit status.

    Raises:
        ConfigError: unknown scale, or a folder that cannot be used.
    """
    started = time.monotonic()
    root, target = find_root(), folder.resolve()
    status = rebuild(root, target, scale)
    if status:
        print(f"The pipeline stopped; run the same command to continue in {folder}.", file=sys.stderr)
        return status
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    print(f"\nScale {scale}, {minutes} min {seconds} s. {outcome(target)}")
    print(f"Figures and tables: {folder}/figures   numbers: {folder}/data/runs/summary.csv")
    print(f"Executed notebooks: {folder}/notebooks")
    return 0
