"""The file a training resumes from: safetensors, which cannot hold code, with a checksum over everything in it."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mecpaper.store.results import write_atomically


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used, told in one line."""


def checksum(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """CRC-32 of names, values and metadata; finds a flipped bit, not a forger."""
    value = zlib.crc32(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        value = zlib.crc32(tensor.numpy().reshape(-1).view("uint8").data, value)
    return f"{value:08x}"


def write(path: Path, fingerprint: str, counters: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write a checkpoint, atomically.

    Args:
        path: the file.
        fingerprint: of what is trained; only the same may resume.
        counters: plain numbers of the state.
        tensors: the rest of the state; contiguous, on the CPU.
    """
    metadata = {"fingerprint": fingerprint, "counters": json.dumps(counters)}
    write_atomically(path, save(tensors, metadata | {"checksum": checksum(tensors, metadata)}))


def read(path: Path, fingerprint: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Counters and tensors of a checkpoint.

    Raises:
        CheckpointError: the file is damaged, or belongs to another configuration or version.
    """

    def damaged(reason: str) -> CheckpointError:
        return CheckpointError(f"checkpoint {path}: damaged ({reason}); delete it to start this cell anew")

    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise damaged(str(error).splitlines()[0]) from None
    if metadata.pop("checksum", None) != checksum(stored, metadata):
        raise damaged("its checksum differs")
    if metadata.get("fingerprint") != fingerprint:
        raise CheckpointError(
            f"checkpoint {path}: of another configuration or version ({metadata.get('fingerprint')}, "
            f"wanted {fingerprint}); delete it to start this cell anew"
        )
    return json.loads(metadata["counters"]), stored
