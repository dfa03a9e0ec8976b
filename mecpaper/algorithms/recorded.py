"""Functions of tensors that a GPU replays as recorded graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")


class Recorded(Generic[P, T]):
    """A function that a GPU replays as one recorded graph, free of launch costs; on a CPU it is just called.

    The function must work in place on the same tensors each time, and take tensors, or named tuples of tensors, of the
    same shapes.

    Args:
        function: what to call.
        device: where it computes.
    """

    WARMUP = 3

    def __init__(self, function: Callable[P, T], device: torch.device) -> None:
        self.function, self.device, self.calls = function, device, 0

    def __call__(self, *inputs: P.args, **named: P.kwargs) -> T:
        """Return the function's result; on a GPU the next call overwrites it."""
        if self.device.type != "cuda":
            return self.function(*inputs, **named)
        self.calls += 1
        if self.calls <= self.WARMUP:
            side = torch.cuda.Stream(self.device)
            side.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(side):
                result = self.function(*inputs, **named)
            torch.cuda.current_stream(self.device).wait_stream(side)
            return result
        if self.calls == self.WARMUP + 1:
            self.inputs: Any = tuple(_cloned(value) for value in inputs)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.outputs = self.function(*self.inputs, **named)
        for held, value in zip(_tensors(self.inputs), _tensors(inputs), strict=True):
            held.copy_(value)
        self.graph.replay()
        return self.outputs


def _cloned(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else type(value)(*(_cloned(part) for part in value))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    else:
        for part in value:
            yield from _tensors(part)
