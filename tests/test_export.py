"""Trained actors as ONNX: the runtime decides as torch does, and wrong requests are refused in one line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from mecpaper.__main__ import main
from mecpaper.config import ConfigError, resolve
from mecpaper.env.game import Game
from mecpaper.policies import export, stored
from mecpaper.system.tasks import VARIABLES
from mecpaper.training.loop import Training

ROOT = Path(__file__).resolve().parents[1]
STORED = sorted("/".join(path.parts[-3:-1]) for path in (ROOT / "data" / "runs").glob("*/*/policy.safetensors"))


def session(model):
    """A session on one thread, from a model or a file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    source = model if isinstance(model, str) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def observations(game, count, seed=0):
    """Uniform over the whole range of the observation, `[env, device, feature]`."""
    centre, half = (part[0] for part in game.observation_range())
    draws = torch.rand(count, *centre.shape, generator=torch.Generator().manual_seed(seed))
    return centre + half * (2.0 * draws - 1.0)


def compare(policy, config, device, observation):
    """Both outputs of one device's graph beside those of torch and the game."""
    game = Game([config], len(observation))
    action = policy.policy(game)(observation.unsqueeze(0), torch.empty(0))
    decision = torch.stack([part[0, :, device] for part in game.decode(action).values()], dim=-1)
    found = session(export.actor_model(policy, device, config)).run(
        None, {"observation": observation[:, device].numpy()}
    )
    expected = action[0, :, device].numpy()
    assert np.abs(found[0] - expected).max() < 1e-5
    clear = np.abs(expected.reshape(len(observation), -1, len(VARIABLES))[..., 0]) > 1e-5
    np.testing.assert_array_equal(found[1][..., 0][clear], decision[..., 0].numpy()[clear])
    np.testing.assert_allclose(found[1][..., 1:], decision[..., 1:].numpy(), rtol=1e-5)
    return found


@pytest.mark.parametrize("name", STORED)
def test_the_runtime_decides_as_torch_does_for_every_device(root, settings, name):
    algorithm, scenario = name.split("/")
    policy = export.stored_policy(root, resolve(settings, algorithm, scenario))
    config = settings.scenario(scenario)
    observation = observations(Game([config]), 1000)
    assert policy.devices == 20
    for device in range(policy.devices):
        _, decision = compare(policy, config, device, observation)
        assert set(np.unique(decision[..., 0])) <= {0.0, 1.0}
        assert decision[..., 3].max() <= np.float32(config.transmit_power[1])


def test_devices_that_differ_get_their_own_ranges(small):
    config = small.game.changed(transmit_power=[0.3, [0.4, 0.6, 0.8, 1.0]], observation="augmented")
    data = small.model_dump()
    data |= {"game": config.model_dump(), "scenarios": {"default": {}}}
    training = Training(resolve(type(small).model_validate(data), "maddpg", "default"))
    policy = stored.StoredPolicy.from_tensors("x", "maddpg", training.policy())
    observation = observations(training.game, 50)
    maxima = [compare(policy, config, device, observation)[1][..., 3].max() for device in range(4)]
    assert maxima == sorted(maxima) and maxima[0] <= np.float32(0.4)


def test_actors_that_share_weights_are_exported_alike(small):
    data = small.model_dump()
    data["learning"]["actor"] = "shared"
    training = Training(resolve(type(small).model_validate(data), "maddpg", "default"))
    policy = stored.StoredPolicy.from_tensors("x", "maddpg", training.policy())
    for device in (0, 3):
        compare(policy, small.game, device, observations(training.game, 20))


def test_the_command_writes_a_file_that_says_what_it_takes(root, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("MECPAPER_ROOT", str(root))
    assert main(["export", "cpo_maddpg", "default", "--device", "3", "--out", str(tmp_path)]) == 0
    (path,) = tmp_path.iterdir()
    assert path.name == "cpo_maddpg-default-03.onnx"
    about = session(str(path)).get_modelmeta().custom_metadata_map
    assert json.loads(about["observation"]) == list(Game([settings.game]).observation_names)
    assert json.loads(about["decision"]) == list(VARIABLES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cpo_maddpg", "default", "--device", "20"], "device = 20: from 0 to 19"),
        (["cpo_maddpg", "users_30"], "policy = 'cpo_maddpg/users_30': one of cpo_maddpg/attacker_strong, "),
        (["nothing", "default"], "algorithm = 'nothing': one of cpo_maddpg, "),
        (["cpo_maddpg", "nothing"], "scenario = 'nothing': one of default, "),
    ],
)
def test_a_wrong_request_is_one_line(root, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.setenv("MECPAPER_ROOT", str(root))
    assert main(["export", *arguments, "--out", str(tmp_path)]) == 2
    written = capsys.readouterr()
    assert written.err.startswith(message) and written.err.count("\n") == 1 and not written.out


def test_a_policy_of_another_game_is_refused(root, settings):
    policy = export.stored_policy(root, resolve(settings, "cpo_maddpg", "default"))
    for game in (settings.scenario("users_30"), settings.game.changed(chunks=2)):
        with pytest.raises(ConfigError, match="policy 'cpo_maddpg/default': of 20 devices"):
            export.actor_model(policy, 0, game)


def test_a_file_that_holds_no_policy_is_refused(tmp_path):
    path = tmp_path / "policy.safetensors"
    with pytest.raises(ConfigError, match="no file"):
        stored.read_policy(path, "x", "maddpg")
    path.write_bytes(b"\x80\x04N.")
    with pytest.raises(ConfigError, match="cannot be read"):
        stored.read_policy(path, "x", "maddpg")


def test_without_onnx_the_extra_is_named(root):
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from mecpaper.__main__ import main\n"
        "sys.exit(main(['export', 'cpo_maddpg', 'default', '--device', '0']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert run.returncode == 2 and run.stderr.strip() == "export: needs the extra, pip install 'mecpaper[onnx]'"
