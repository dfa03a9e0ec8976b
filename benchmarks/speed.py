"""Updates per second against other implementations of MADDPG and MATD3.

One update is every agent's critic, actor and targets once, on a mini-batch of 64 random joint transitions that lies
ready (no environment, no replay). Everywhere 20 agents, observations of 10 and actions of 15 numbers, hidden layers
of 256-128-64 with ReLU, Adam, the same threads. All are measured in turn in one run, A B C A B C, and everything twice:
with products in single precision and in bfloat16. Ours then has `learning.precision: bfloat16`, with activations in
bfloat16 as well; of the rivals oneDNN rounds the factors of each product (`mkldnn.matmul.fp32_precision`).

- This project, `separate`: an actor and a joint-input critic for every agent, all in batched products. Here the
  policy gradient of an agent is that of its own critic in its own action, as in the papers. All agents' present
  actions enter the critics at once, where the per-agent loops keep the others' stored actions.
- This project, `pooled` and `joint`: one critic for all agents. `pooled` sees an agent's
  own features and the mean of all agents' first-layer features, so it is centralised but does about a quarter
  of the arithmetic of separate critics; `joint` is one network on the joint input with an output per agent, with the
  smallest amount of arithmetic.
- `cpo_maddpg` does more than the rivals: two value heads, two policy gradients, priorities, the multiplier.
- Ours also clips gradients, keeps diagnostics and penalises saturated outputs, which AgileRL does not.
- Textbook: a plain loop over agents (benchmarks/textbook.py), separate actors and joint-input critics.
- AgileRL: `MADDPG.learn` and `MATD3.learn` on a ready batch, separate actors and critics from its own network
  classes. Its critics take the joint action at the second layer, so they do about a quarter less arithmetic
  than critics on the joint input.
- BenchMARL: `Experiment._optimizer_loop`, which is TorchRL's `DDPGLoss` with the library's clipping, optimisers and
  target updates; the buffer is replaced by a ready batch. `share_param_critic` true is one joint critic with one
  value for all agents, false a joint critic for each. Either way one policy loss is backpropagated through the actors
  of all agents.
- Of MATD3 an update is half of two calls of `learn`, since the actors learn at every second.

Arithmetic limits the quotients with the pooled critic. The part "learning" has the number of operations of an update
and the machine's rate: at the full rate, with nothing else to do, an update would still take about half of its
present time. Less arithmetic would help: a smaller batch (the default of params.yaml is half of the one here), or the
joint critic. The precision of the products changes little for the rivals. Separate critics are also limited by memory:
their weights, gradients, moments and targets are five times 14 MB, which every update reads and writes several times,
so the quotients depend on the load of the machine's memory.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch

from benchmarks.common import (
    BATCH,
    Options,
    Side,
    interleaved,
    make_game,
    make_work,
    per_second,
    random_batch,
    ratio,
    timed,
)
from benchmarks.rivals import Process
from benchmarks.textbook import TextbookMADDPG
from mecpaper.config import Config

OURS = {
    "ours, maddpg, separate critics": ("maddpg", "separate"),
    "ours, maddpg, pooled critic": ("maddpg", "pooled"),
    "ours, maddpg, joint critic": ("maddpg", "joint"),
    "ours, cpo_maddpg, pooled critic": ("cpo_maddpg", "pooled"),
    "ours, matd3, separate critics": ("matd3", "separate"),
    "ours, matd3, pooled critic": ("matd3", "pooled"),
}
"""Printed name -> algorithm, critic."""

SEPARATE, POOLED, JOINT, CPO, TWIN, TWIN_POOLED = OURS
TEXTBOOK = "textbook loop, separate critics"
AGILERL, AGILERL_TWIN = "AgileRL MADDPG, separate critics", "AgileRL MATD3, separate critics"
SHARED, PER_AGENT = "BenchMARL MADDPG, shared critic", "BenchMARL MADDPG, separate critics"
RIVALS = {
    AGILERL: ("agilerl", "maddpg", 1),
    AGILERL_TWIN: ("agilerl", "matd3", 2),
    SHARED: ("benchmarl", "shared", 1),
    PER_AGENT: ("benchmarl", "separate", 1),
}
"""Printed name -> whose, case of its script, updates per call."""

COMPARED = [
    (AGILERL, SEPARATE, 8.0),
    (PER_AGENT, SEPARATE, 3.5),
    (TEXTBOOK, SEPARATE, None),
    (SHARED, POOLED, 3.0),
    (AGILERL, POOLED, 20.0),
    (SHARED, JOINT, None),
    (AGILERL, CPO, None),
    (AGILERL_TWIN, TWIN, None),
    (AGILERL_TWIN, TWIN_POOLED, None),
]
"""Rival, ours, and how many times as fast ours was meant to be."""

PRECISIONS = {"float32": "ieee", "bfloat16": "bf16"}
"""Precision of the products -> torch's name for it."""


def textbook(config: Config, precision: str) -> Side:
    """The plain loop with the project's settings, on a random batch."""
    game, learning = make_game(config), config.learning
    learner = TextbookMADDPG(
        game.devices,
        game.observation_size,
        game.action_size,
        learning.hidden,
        (learning.actor_learning_rate, learning.critic_learning_rate),
        learning.reward_discount,
        learning.polyak,
        learning.gradient_norm,
    )
    batch = random_batch(game, BATCH)
    centre, half = game.observation_range()
    seen = [
        ((part - centre.unsqueeze(1)) / half.unsqueeze(1))[0] for part in (batch.observation, batch.next_observation)
    ]
    learn = timed(lambda: learner.learn(seen[0], batch.action[0], batch.reward[0], seen[1]))

    def side(calls: int) -> float:
        torch.backends.mkldnn.matmul.fp32_precision = PRECISIONS[precision]
        seconds = learn(calls)
        torch.backends.mkldnn.matmul.fp32_precision = "none"
        return seconds

    return side


def asking(process: Process, case: str, precision: str) -> Side:
    """A side that lives in another process; the time is taken there."""
    return lambda calls: process.ask(case=case, calls=calls, precision=PRECISIONS[precision])["seconds"]


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Updates per second of all, and the quotients that matter."""
    game = make_game(config)
    sizes = [game.devices, game.observation_size, game.action_size, BATCH]
    sides: dict[str, Side] = {}
    updates = {TEXTBOOK: 1} | {name: count for name, (_, _, count) in RIVALS.items()}
    for precision in PRECISIONS:
        for name, (algorithm, critic) in OURS.items():
            work = make_work(config, algorithm, game, critic=critic, batch=BATCH, precision=precision)
            sides[f"{precision}: {name}"], updates[name] = timed(work.call), work.updates
        sides[f"{precision}: {TEXTBOOK}"] = textbook(config, precision)
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(Process(options.root, name, f"{name}_speed", options.threads, *map(str, sizes)))
            for name in ("agilerl", "benchmarl")
        }
        sides |= {
            f"{precision}: {name}": asking(processes[whose], case, precision)
            for precision in PRECISIONS
            for name, (whose, case, _) in RIVALS.items()
        }
        blocks = interleaved(sides, options.repetitions, options.seconds)
        versions = {key: value for process in processes.values() for key, value in process.about.items()}
    seconds = {name: [value / updates[name.partition(": ")[2]] for value in values] for name, values in blocks.items()}
    return {
        "figures": [per_second(name, "updates/s", values) for name, values in seconds.items()],
        "ratios": [
            ratio(f"{kind}: {ours} : {rival}", seconds[f"{kind}: {rival}"], seconds[f"{kind}: {ours}"], goal)
            for kind in PRECISIONS
            for rival, ours, goal in COMPARED
        ],
        "values": [["agents, observation, action, batch", ", ".join(map(str, sizes))]]
        + [[f"version of {name}", value] for name, value in (versions | {"torch (ours)": torch.__version__}).items()],
    }
