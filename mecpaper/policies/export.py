"""Trained actors as ONNX files: one for each device, which then needs neither torch nor this package.

`python -m mecpaper.policies.export cpo_maddpg default` writes the actors of all devices to build/onnx. A file takes the device's
observation in the units of the game and gives the actor's action and the decision that follows from it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mecpaper.config import Config, ConfigError, GameConfig, find_root, load
from mecpaper.env.game import Game
from mecpaper.policies.stored import StoredPolicy, read_policy
from mecpaper.store.results import cell_folder, write_atomically
from mecpaper.system.tasks import VARIABLES

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 17, 8
"""Of the files: old enough for runtimes on small devices, and all that the few operators need."""


def actor_model(policy: StoredPolicy, device: int, game: GameConfig) -> ModelProto:
    """One device's actor as a graph.

    Inputs and outputs of the graph, all float32:

    - "observation" `[batch, feature]`, in the order of `Game.observation_names`: W, Hz, dB, J, Hz.
    - "action" `[batch, 5 K]` in [-1, 1], as `Game.step` takes it.
    - "decision" `[batch, chunk, 5]` in the order of `VARIABLES`: offload as requested (0 or 1; whether it is secure,
      Eq. 13, the device does not know), frame/s, pixel per side, W, Hz.

    Args:
        policy: the trained actors.
        device: which one, counted from 0.
        game: what it was trained for; gives names and allowed ranges.
    Raises:
        ConfigError: a device that the policy does not have, sizes of another game, or the extra `onnx` is missing.
    """
    try:
        from onnx import TensorProto, checker, helper, numpy_helper
    except ImportError:
        raise ConfigError("export: needs the extra, pip install 'mecpaper[onnx]'") from None
    if not 0 <= device < policy.devices:
        raise ConfigError(f"device = {device}: from 0 to {policy.devices - 1}")
    names = Game([game]).observation_names
    sizes, wanted = (policy.layers[0].shape[1], policy.layers[-1].shape[-1]), (len(names), game.chunks * len(VARIABLES))
    if sizes != wanted or policy.devices != game.devices:
        raise ConfigError(
            f"policy {policy.label!r}: of {policy.devices} devices with sizes {sizes}, the game has {game.devices} "
            f"with {wanted}"
        )
    constants: dict[str, np.ndarray] = {}
    nodes: list[Any] = []

    def constant(name: str, value: np.ndarray) -> str:
        constants[name] = value
        return name

    def apply(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    rows = apply("Sub", ["observation", constant("centre", policy.centre[device].numpy())], "shifted")
    rows = apply("Div", [rows, constant("half", policy.half[device].numpy())], "normalised")
    count, stack = len(policy.layers) // 2, device % len(policy.layers[0])
    for layer in range(count):
        weight, bias = (policy.layers[2 * layer + part][stack].numpy() for part in (0, 1))
        inputs = [rows, constant(f"weight_{layer}", weight), constant(f"bias_{layer}", bias[0])]
        rows = apply("Gemm", inputs, f"affine_{layer}")
        if layer < count - 1:
            rows = apply("Relu", [rows], f"hidden_{layer}")
    action = apply("Tanh", [rows], "action")

    # Eq. 26-30: the sign decides about offloading, the others are mapped onto their ranges.
    bounds = [(0.0, 0.0), (game.frame_rate[0], game.frame_rate[1]), (game.resolution[0], game.resolution[1])]
    for pair in (game.transmit_power, game.cpu_frequency):
        least, greatest = (game.per_device(value)[device] for value in pair)
        bounds.append((least, greatest))
    low, high = np.array(bounds, dtype=np.float32).T
    shape = constant("shape", np.array([-1, game.chunks, len(VARIABLES)]))
    signal = apply("Reshape", [action, shape], "signal")
    lifted = apply("Add", [signal, constant("one", np.ones(1, np.float32))], "lifted")
    scaled = apply("Mul", [lifted, constant("half_span", 0.5 * (high - low))], "scaled")
    ranged = apply("Add", [scaled, constant("least", low)], "ranged")
    ranged = apply("Min", [ranged, constant("greatest", high)], "bounded")
    positive = apply("Greater", [signal, constant("zero", np.zeros(1, np.float32))], "positive")
    offload = apply("Cast", [positive], "offload", to=TensorProto.FLOAT)
    first = constant("first", np.array([name == "offload" for name in VARIABLES]))
    apply("Where", [first, offload, ranged], "decision")

    def value(name: str, *sizes: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *sizes])

    graph = helper.make_graph(
        nodes,
        "actor",
        [value("observation", len(names))],
        [value("action", game.chunks * len(VARIABLES)), value("decision", game.chunks, len(VARIABLES))],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="mecpaper")
    about = {"policy": policy.label, "device": str(device), "observation": json.dumps(names)}
    helper.set_model_props(model, about | {"decision": json.dumps(VARIABLES)})
    checker.check_model(model, full_check=True)
    return model


def actor_to_onnx(policy: StoredPolicy, device: int, game: GameConfig, path: Path) -> None:
    """Write one device's actor, atomically; arguments and errors as for `actor_model`."""
    write_atomically(path, actor_model(policy, device, game).SerializeToString())


def stored_policy(root: Path, config: Config, algorithm: str, scenario: str) -> StoredPolicy:
    """The policy that a cell of data/runs keeps.

    Raises:
        ConfigError: there is no such scenario, or no usable policy of it; says which there are.
    """
    limit = config.scenario(scenario).cost_limit_fraction
    path = cell_folder(root, algorithm, scenario) / "policy.safetensors"
    if not path.is_file():
        found = sorted("/".join(p.parts[-3:-1]) for p in (root / "data" / "runs").glob("*/*/policy.safetensors"))
        raise ConfigError(f"policy = {f'{algorithm}/{scenario}'!r}: one of {', '.join(found) or 'none that is stored'}")
    return read_policy(path, f"{algorithm}/{scenario}", algorithm, limit)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mecpaper.policies.export", description="Trained actors as ONNX files."
    )
    parser.add_argument("algorithm", help="such as cpo_maddpg")
    parser.add_argument("scenario", help="such as default")
    parser.add_argument("--device", type=int, help="only this one, counted from 0; by default all")
    parser.add_argument("--out", type=Path, help="folder; by default build/onnx of the project")
    chosen = parser.parse_args(arguments)
    try:
        root = find_root()
        config = load(root / "params.yaml")
        policy = stored_policy(root, config, chosen.algorithm, chosen.scenario)
        folder = chosen.out or root / "build" / "onnx"
        devices = range(policy.devices) if chosen.device is None else [chosen.device]
        game = config.scenario(chosen.scenario)
        for device in devices:
            path = folder / f"{chosen.algorithm}-{chosen.scenario}-{device:02d}.onnx"
            actor_to_onnx(policy, device, game, path)
    except (ConfigError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(f"{len(devices)} actors written to {folder}")


if __name__ == "__main__":
    main()
