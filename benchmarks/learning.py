"""Share of the machine's matrix throughput that a learner's update reaches.

One side is an update of each learner of params.yaml (critic, actors, targets, optimisers, all agents at once) on a
prepared mini-batch of 64 random joint transitions at the default setting; for MAPPO it is a whole round of episodes
with all its mini-batches. The other side is only the matrix products of this update, recorded while it ran: the same
shapes and precisions in the same order, on contiguous, preallocated operands and outputs. Both do the same number of
floating-point operations in products (2 b m k n each, as counted by torch's FlopCounterMode), so the share is the
quotient of the times. The rest of an update (activations, Adam, target updates, norms, autograd) keeps it below 1. The
reference's operands may stay in the cache between products where the learner's cannot, which makes the share smaller.
Avoidable products count on both sides: the share measures how fast the arithmetic is done, not how little of it is
needed.

"As trained" is the same update at the batch of params.yaml; claim 34 reads these rows. The precision of products is the
shared one of params.yaml everywhere, also for a learner that is trained in another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import BATCH, Options, figure, interleaved, make_game, make_work, per_second, ratio, timed
from mecpaper.algorithms.mappo import MAPPO
from mecpaper.config import ALGORITHMS, Config

GOAL = 0.5

PRODUCTS = {torch.ops.aten.mm: 0, torch.ops.aten.bmm: 0, torch.ops.aten.addmm: 1, torch.ops.aten.baddbmm: 1}
"""The operations in which all products of a network arrive -> place of the left factor among the arguments."""

Shape = tuple[int, int, int, int, torch.dtype]
"""Batch, rows, inner size, columns and precision of a product."""


class Recorder(TorchDispatchMode):
    """Notes the shape and precision of every matrix product, also those of the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[Shape] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        place = PRODUCTS.get(func.overloadpacket)
        if place is not None:
            left, right = args[place : place + 2]
            batch = left.shape[0] if left.dim() == 3 else 1
            self.shapes.append((batch, left.shape[-2], left.shape[-1], right.shape[-1], left.dtype))
        return func(*args, **(kwargs or {}))


def products(shapes: list[Shape]) -> Callable[[], None]:
    """A function that makes the products of these shapes, and nothing else."""
    ready = {}
    for shape in set(shapes):
        batch, rows, inner, columns, dtype = shape
        left, right = torch.randn(batch, rows, inner).to(dtype), torch.randn(batch, inner, columns).to(dtype)
        ready[shape] = left, right, torch.empty(batch, rows, columns, dtype=dtype)
    operands = [ready[shape] for shape in shapes]

    def run() -> None:
        for left, right, out in operands:
            torch.bmm(left, right, out=out)

    return run


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Floating-point rates of every learner and of its products alone, and their quotient."""
    names = [name for name, entry in ALGORITHMS.items() if entry.learns]
    envs = config.scales["demo"].episodes_at_once
    shared = {"precision": config.learning.precision}
    sides, amounts = {}, {}
    for name in names:
        plays_rounds = ALGORITHMS[name].learner_class() is MAPPO
        work = make_work(config, name, make_game(config, envs=envs if plays_rounds else 1), batch=BATCH, **shared)
        work.call()
        with Recorder() as recorder:
            work.call()
        with FlopCounterMode(display=False) as counter:
            work.call()
        total = sum(2 * math.prod(shape[:4]) for shape in recorder.shapes)
        if total != counter.get_total_flops():
            raise RuntimeError(f"{name}: products of {total} FLOP recorded, {counter.get_total_flops()} counted")
        sides |= {name: timed(work.call), f"{name} products": timed(products(recorder.shapes))}
        if not plays_rounds:
            sides[f"{name} as trained"] = timed(make_work(config, name, make_game(config), **shared).call)
        amounts[name] = total, work.updates, len(recorder.shapes)
    seconds = interleaved(sides, options.repetitions, options.seconds)
    figures, ratios, values = [], [], []
    for name in names:
        total, updates, count = amounts[name]
        own, bare = seconds[name], seconds[f"{name} products"]
        figures.append(figure(f"{name}: one update", "ms", [1e3 * value / updates for value in own]))
        if f"{name} as trained" in seconds:
            times = [1e3 * value / updates for value in seconds[f"{name} as trained"]]
            figures.append(figure(f"{name}: one update as trained", "ms", times))
        figures.append(per_second(f"{name}: update", "GFLOP/s", own, total / 1e9))
        figures.append(per_second(f"{name}: its products alone", "GFLOP/s", bare, total / 1e9))
        ratios.append(ratio(f"{name}: share of the machine's rate", bare, own, GOAL))
        values.append([f"{name}: products of an update", f"{total / updates / 1e9:.4f} GFLOP, {count / updates:.0f}"])
    values.append(["agents, batch", f"{config.game.devices}, {BATCH} (MAPPO: {config.mappo.minibatch})"])
    return {"figures": figures, "ratios": ratios, "values": values}
