"""Write and read checkpoints: safetensors files, which cannot contain code, with a checksum over the content."""

from __future__ import annotations

import hashlib
import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mecpaper.store.files import write_atomically


@cache
def code_version() -> str:
    """Hash the source of what trains, and name torch's version: half a training goes on only with the same code."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(torch.__version__.split("+")[0].encode())
    for room in ("config", "system", "env", "algorithms", "training"):
        for path in sorted((package / room).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used."""


def checksum(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """Compute the CRC-32 of names, values and metadata; it detects damage, not forgery."""
    value = zlib.crc32(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        value = zlib.crc32(tensor.numpy().reshape(-1).view("uint8").data, value)
    return f"{value:08x}"


def write(path: Path, key: str, counters: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write a checkpoint, atomically.

    Args:
        path: the file.
        key: fingerprint of the experiments; only the same experiments may resume.
        counters: plain numbers of the state.
        tensors: the rest of the state, contiguous and on the CPU.
    """
    metadata = {"key": key, "counters": json.dumps(counters)}
    write_atomically(path, save(tensors, metadata | {"checksum": checksum(tensors, metadata)}))


def read(path: Path, key: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the counters and tensors of a checkpoint.

    Raises:
        CheckpointError: the file is damaged, or belongs to another configuration or version.
    """

    def damaged(reason: str) -> CheckpointError:
        return CheckpointError(f"checkpoint {path}: damaged ({reason}); delete it to start this experiment again")

    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise damaged(str(error).splitlines()[0]) from None
    if metadata.pop("checksum", None) != checksum(stored, metadata):
        raise damaged("its checksum differs")
    if metadata.get("key") != key:
        raise CheckpointError(
            f"checkpoint {path}: of another configuration or version ({metadata.get('key')}, "
            f"wanted {key}); delete it to start this experiment again"
        )
    return json.loads(metadata["counters"]), stored
