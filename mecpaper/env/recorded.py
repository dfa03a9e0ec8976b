"""Functions of tensors that a GPU replays as recorded graphs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch

T = TypeVar("T")

_recording = threading.Lock()
"""Held while a graph is recorded: programs side by side record one after another."""


def records(device: torch.device) -> bool:
    """Tell whether work on a device is recorded: on a GPU, where launching an operation can cost more than its work."""
    return device.type == "cuda"


class Recorded(Generic[T]):
    """A function that a GPU replays as one recorded graph, without launch costs; on a CPU it is called as usual.

    The function must change the same tensors in place in every call, and its operations must not depend on numbers.

    Args:
        function: takes one named tuple of tensors, of the same shapes in every call. On a GPU, numbers and lists of
            numbers in it are converted to tensors.
        device: device it computes on.
    """

    def __init__(self, function: Callable[[Any], T], device: torch.device) -> None:
        self.function, self.device = function, device
        self.inputs: Any = None
        self.replay: Callable[[], T] | None = None

    def __call__(self, inputs: Any) -> T:
        """Return the function's result; on a GPU the next call overwrites it."""
        if not records(self.device):
            return self.function(inputs)
        if self.inputs is None:
            # A first call as usual lets libraries and optimisers get ready.
            self.inputs = type(inputs)(*(_as_tensor(value, self.device).clone() for value in inputs))
            return self.function(self.inputs)
        for held, value in zip(self.inputs, inputs, strict=True):
            held.copy_(_as_tensor(value, self.device))
        if self.replay is None:
            self.replay = self.record()
        return self.replay()

    def record(self) -> Callable[[], T]:
        """Record the function's operations on `self.inputs` without executing them; return a function that does."""
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream(self.device)
        # Other threads may go on with their programs in the meantime.
        with _recording, torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            outputs = self.function(self.inputs)

        def replay() -> T:
            graph.replay()
            return outputs

        return replay


def _as_tensor(value: Any, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float64 if isinstance(value, float) else None, device=device)
