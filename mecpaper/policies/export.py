"""Export trained actors as ONNX files, one per device; running them needs neither torch nor this package.

The model maps a device's observation, in the units of the game, to the actor's action and to the decision in physical
units.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mecpaper.config import ConfigError, Experiment, GameConfig
from mecpaper.env.game import Game
from mecpaper.policies.stored import StoredPolicy, read_policy
from mecpaper.store.files import write_atomically
from mecpaper.store.results import POLICY, folder_of
from mecpaper.system.tasks import VARIABLES

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 17, 8
"""Versions of the files: low, for old runtimes on small devices; the operators need nothing newer."""


def actor_model(policy: StoredPolicy, device: int, game: GameConfig) -> ModelProto:
    """Make the ONNX model of one device's actor.

    Inputs and outputs, all float32:

    - "observation" `[batch, feature]`, in the order of `Game.observation_names`: W, Hz, dB, J, Hz.
    - "action" `[batch, 5 K]` in [-1, 1], as `Game.step` takes it.
    - "decision" `[batch, chunk, 5]` in the order of `VARIABLES`: offload as requested (0 or 1; the device
      cannot tell whether it is secure, Eq. 13), frame/s, pixel per side, W, Hz.

    Args:
        policy: the trained actors.
        device: index of the device, from 0.
        game: the game of the training, for the names and ranges of the variables.
    Raises:
        ConfigError: no such device, sizes that do not fit the game, or a missing extra `onnx`.
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

    # Eq. 26-30: the sign decides about offloading, the other signals are mapped onto their ranges.
    bounds = [(0.0, 0.0), (game.frame_rate[0], game.frame_rate[1]), (game.resolution[0], game.resolution[1])]
    for pair in (game.transmit_power, game.cpu_frequency):
        minimum, maximum = (game.per_device(value)[device] for value in pair)
        bounds.append((minimum, maximum))
    low, high = np.array(bounds, dtype=np.float32).T
    shape = constant("shape", np.array([-1, game.chunks, len(VARIABLES)]))
    signal = apply("Reshape", [action, shape], "signal")
    lifted = apply("Add", [signal, constant("one", np.ones(1, np.float32))], "lifted")
    scaled = apply("Mul", [lifted, constant("half_span", 0.5 * (high - low))], "scaled")
    ranged = apply("Add", [scaled, constant("minimum", low)], "ranged")
    ranged = apply("Min", [ranged, constant("maximum", high)], "bounded")
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
    """Write one device's actor to a file, atomically; arguments and errors as for `actor_model`."""
    write_atomically(path, actor_model(policy, device, game).SerializeToString())


def stored_policy(root: Path, experiment: Experiment) -> StoredPolicy:
    """Read the stored policy of an experiment from data/runs.

    Raises:
        ConfigError: the policy is missing (the message lists the stored ones) or unusable.
    """
    path = folder_of(root, experiment) / POLICY
    if not path.is_file():
        found = sorted("/".join(p.parts[-3:-1]) for p in (root / "data" / "runs").glob(f"*/*/{POLICY}"))
        raise ConfigError(f"policy = {experiment.name!r}: one of {', '.join(found) or 'none that is stored'}")
    return read_policy(path, experiment.name, experiment.algorithm, experiment.game.cost_limit_fraction)


def export_actors(policy: StoredPolicy, game: GameConfig, folder: Path, device: int | None = None) -> int:
    """Write the actors of a policy as ONNX files, `<algorithm>-<scenario>-<device>.onnx` after its label.

    Args:
        policy: the trained actors, labelled "algorithm/scenario".
        game: the game of the training.
        folder: target folder.
        device: index of the only device to export, from 0; by default all.
    Returns:
        The number of files.
    Raises:
        ConfigError: no such device, or a missing extra `onnx`.
    """
    devices = range(policy.devices) if device is None else [device]
    for number in devices:
        actor_to_onnx(policy, number, game, folder / f"{policy.label.replace('/', '-')}-{number:02d}.onnx")
    return len(devices)
