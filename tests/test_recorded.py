"""Rounds as recorded graphs, on the CPU: traced once, operation by operation, and replayed as a GPU does."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from mecpaper.algorithms.replay import Replay
from mecpaper.config import ALGORITHMS, Config, Experiment, parse, resolve
from mecpaper.env import recorded
from mecpaper.env.game import Game
from mecpaper.env.settled import settled_offload
from mecpaper.env.streams import generators
from mecpaper.training.loop import Training
from tests import golden

LEARNERS = [name for name, entry in ALGORITHMS.items() if entry.learns]
CASES = [(name, "default", 2) for name in LEARNERS]
CASES += [("maddpg", "default", 3), ("cpo_maddpg", "warmup_uniform+augmented", 2)]
"""Algorithm, scenario, and slots in an episode; an update every 2 slots, so 3 make rounds of two kinds."""
MORE = [("cpo_maddpg", name, 3) for name in ("orthogonal", "chunks_in_order", "critic_separate", "replay_uniform")]


def _settings(slots: int) -> Config:
    """The golden settings with a few rounds of every phase, and a buffer that is filled on the way."""
    data = golden.settings().model_dump()
    data["scales"][data["scale"]] |= {"slots_per_update": 2, "episodes": 32, "curve_every": 8}
    data["learning"] |= {"warmup_fraction": 0.3, "buffer": 50, "noise_correlation": 0.5}
    data["game"]["slots"] = slots
    return parse(Config, data)


def _trained(experiment: Experiment, device: str, monkeypatch, recording: bool) -> Training:
    with monkeypatch.context() as patch:
        patch.setattr(recorded, "records", lambda device: recording)
        training = Training(experiment, device)
        training.game.fixed_work = training.curve_game.fixed_work = True
        MADE.append(training)
        training.run()
    return training


MADE: list[Training] = []


def _traced(self):
    """Stand in for `Recorded.record`: trace every operation, so that no statement of Python runs again."""
    # Tracing does the work, which recording on a GPU does not: put the state back.
    state = MADE[-1].learner.tensors()
    before = {name: tensor.detach().clone() for name, tensor in state.items()}
    graph = make_fx(lambda inputs: self.function(inputs))(self.inputs)
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(before[name])
    return lambda: graph(self.inputs)


def _assert_same(found: Training, wanted: Training, **tolerance: float) -> None:
    assert found.learner.counters() == wanted.learner.counters() and wanted.learner.updates >= 5
    for name, tensor in wanted.learner.tensors().items():
        torch.testing.assert_close(found.learner.tensors()[name], tensor, msg=name, **tolerance)
    for one, other in zip(found.curve, wanted.curve, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            torch.testing.assert_close(one[name], other[name], equal_nan=True, msg=name, **tolerance)


@pytest.mark.parametrize(("algorithm", "scenario", "slots"), CASES)
def test_replayed_rounds_train_as_plain_ones_do(monkeypatch, algorithm, scenario, slots):
    experiment = resolve(_settings(slots), algorithm, scenario)
    plain = _trained(experiment, "cpu", monkeypatch, recording=False)
    monkeypatch.setattr(recorded.Recorded, "record", _traced)
    replayed = _trained(experiment, "cpu", monkeypatch, recording=True)
    _assert_same(replayed, plain, rtol=1e-5, atol=1e-7)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("algorithm", "scenario", "slots"), CASES + MORE)
def test_on_a_gpu_recorded_rounds_train_as_plain_ones_do(monkeypatch, algorithm, scenario, slots):
    experiment = resolve(_settings(slots), algorithm, scenario)
    plain = _trained(experiment, "cuda", monkeypatch, recording=False)
    replayed = _trained(experiment, "cuda", monkeypatch, recording=True)
    _assert_same(replayed, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [{}, {"gain_db": [4.0, 14.0]}, {"access": "orthogonal"}, {"listening_power": "user"}],
)
def test_work_of_fixed_size_executes_the_offloads_of_the_loop(settings, change):
    game = Game([settings.game_with(change | {"devices": 12})] * 2, 50)
    other = Game(game.configs, 50)
    other.fixed_work = True
    for one in (game, other):
        one.reset(generators([1, 2], 0))
    draws = torch.Generator().manual_seed(3)
    taken = 0
    for _ in range(20):
        action = 2.0 * torch.rand(2, 50, 12, game.action_size, generator=draws) - 1.0
        slot, same = game.step(action), other.step(action)
        assert torch.equal(slot.offload, same.offload) and torch.equal(slot.secure_request, same.secure_request)
        taken += int((slot.offload < slot.requested * slot.secure_request).sum())
    assert taken > 0 or change.keys() - {"gain_db"}


def test_a_request_within_rounding_of_the_bound_is_processed_locally():
    x, one = torch.ones(1, 2, 1), torch.ones(1, 2, 1)
    settle = settled_offload
    assert settle(x, one, one, one, 1.0, 1.0).tolist() == [[[0.0], [0.0]]]
    assert settle(x, one, 0.999 * one, one, 1.0, 1.0).tolist() == [[[1.0], [1.0]]]
    # Alone the first would be insecure; the second's signal hides it.
    sent, masking = torch.tensor([[[1.0], [9.0]]]), torch.tensor([[[1.0], [20.0]]])
    assert settle(x, sent, one, masking, 1.0, 0.5).tolist() == [[[1.0], [1.0]]]
    assert settle(torch.tensor([[[1.0], [0.0]]]), sent, one, masking, 1.0, 0.5).tolist() == [[[0.0], [0.0]]]


def test_of_a_transition_replayed_twice_the_last_priority_counts():
    buffer = Replay(1, 4, 1, 1, 1, torch.device("cpu"), torch.float32, True)
    buffer.set_priorities(torch.tensor([[2, 0, 2, 0, 3]]), torch.tensor([[5.0, 1.0, 2.0, 3.0, 4.0]]))
    assert buffer.priorities.tolist() == [[3.0, 0.0, 2.0, 4.0]] and buffer.highest.tolist() == [[5.0]]


def test_room_reserved_for_a_round_is_where_slots_alone_would_go():
    whole, alone = (Replay(1, 7, 1, 1, 1, torch.device("cpu"), torch.float32, True) for _ in range(2))
    for _ in range(3):
        places, sizes = whole.reserve(2, 2)
        for place, size in zip(places, sizes, strict=True):
            (same,), (held,) = alone.reserve(1, 2)
            assert torch.equal(place, same) and size == held
    assert (whole.position, whole.size) == (alone.position, alone.size) == (5, 7)
