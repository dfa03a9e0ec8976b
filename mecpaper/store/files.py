"""Write files atomically: after a crash a file is either the old one or the complete new one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pandas as pd

UNFINISHED = ".part"
"""Suffix of a file that is being written; git and DVC ignore it."""


class StorageError(OSError):
    """A file or folder that cannot be written."""


def make_folder(folder: Path) -> None:
    """Make a folder and its parents.

    Raises:
        StorageError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _storage_error(folder, error) from None


def prepare_folder(folder: Path) -> None:
    """Make a folder, remove unfinished files in it, and check that it is writable.

    Call it before long work that ends in this folder, and only from the one process that writes there.

    Raises:
        StorageError: the folder is not writable.
    """
    make_folder(folder)
    for left in folder.glob(f".*{UNFINISHED}"):
        left.unlink(missing_ok=True)
    probe = folder / f".probe{UNFINISHED}"
    write_atomically(probe, b"")
    probe.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file atomically: after a crash it is either the old one or the complete new one.

    Raises:
        StorageError: no space or no permission; the old file is unchanged.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _storage_error(path, error) from None


def _storage_error(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be written ({error.strerror}); the old content is unchanged, fix the cause and start again"
    )


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, atomically, with six significant digits; missing values are empty."""
    write_atomically(path, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
