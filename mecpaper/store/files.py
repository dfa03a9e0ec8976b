"""Files that are either the old ones or the whole new ones, whenever the process dies."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pandas as pd

UNFINISHED = ".part"
"""Ending of a file that is being written; git and dvc ignore it."""


class StorageError(OSError):
    """A file or folder that cannot be written."""


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _storage_error(folder, error) from None


def prepare_folder(folder: Path) -> None:
    """Make a folder, remove what killed writers left in it, and see that a file can be written there.

    To be called before long work whose results go there, by the only process that writes there.

    Raises:
        StorageError: it cannot be written to.
    """
    make_folder(folder)
    for left in folder.glob(f".*{UNFINISHED}"):
        left.unlink(missing_ok=True)
    probe = folder / f".probe{UNFINISHED}"
    write_atomically(probe, b"")
    probe.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that it is either the old one or the whole new one, whenever the process dies.

    Raises:
        StorageError: no room, no permission; the old file is as it was.
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
        f"{path}: cannot be written ({error.strerror}); what was there is unchanged, start again when this is mended"
    )


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, six significant digits, missing values empty, atomically."""
    write_atomically(path, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
