"""Find the project's folder, and files that are named relative to it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mecpaper.config.fields import ConfigError


def find_root(start: Path | str | None = None) -> Path:
    """Find the project's folder: the nearest one upwards that holds params.yaml and dvc.yaml.

    Without `start` the search begins at the environment variable MECPAPER_ROOT if it is set, else at the working
    directory, and then at this package, which may be a checkout.

    Raises:
        ConfigError: there is no such folder.
    """
    named = os.environ.get("MECPAPER_ROOT")
    folder = Path(start or named or Path.cwd()).resolve()
    beside = [] if start or named else [Path(__file__).resolve().parents[2]]
    for candidate in (folder, *folder.parents, *beside):
        if (candidate / "params.yaml").is_file() and (candidate / "dvc.yaml").is_file():
            return candidate
    raise ConfigError(
        f"project root: no params.yaml with dvc.yaml in {folder} or above it; "
        "set MECPAPER_ROOT, or pass the file to load(path)"
    )


def find_file(name: str) -> Path:
    """Find a file: a relative name is below the working directory or, if it is not there, below the project's folder.

    Returns:
        Its path, below the working directory if there is no such file.
    """
    path = Path(name)
    if not path.is_file():
        with suppress(ConfigError):
            below = find_root() / path
            path = below if below.is_file() else path
    return path


def remedy(path: Path) -> str:
    """Say how to get a damaged or missing file of the project back; an empty text for a file of someone else."""
    try:
        root = find_root(path.absolute().parent)
    except ConfigError:
        return ""
    parts = (path.absolute().parent.resolve() / path.name).relative_to(root).parts
    if parts[0] not in ("benchmarks", "data", "docs", "notebooks"):
        return ""
    restored = f"restore it (git checkout -- {'/'.join(parts)}, or from the archive)"
    if parts[:2] != ("data", "runs"):
        return restored
    again = "it and run mecpaper repro" if len(parts) == 3 else "its folder to train this experiment again"
    return f"{restored}, or delete {again}"


def is_torn(path: Path) -> bool:
    """Tell whether a file of the project lacks the line end that all of them have; others may lack it."""
    return bool(remedy(path)) and path.is_file() and not path.read_bytes().endswith(b"\n")
