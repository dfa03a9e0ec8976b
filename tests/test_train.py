"""The training loop: resume, kills, checkpoints of others, numbers that stop being finite, results kept."""

import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from mecpaper.config import ALGORITHMS, Config, ConfigError, parse, resolve
from mecpaper.config import experiment as resolving
from mecpaper.env.game import Game
from mecpaper.policies.export import stored_policy
from mecpaper.store import results
from mecpaper.store.card import CARD
from mecpaper.training import experiments, loop
from mecpaper.training.checkpoint import CheckpointError
from mecpaper.training.experiments import BusyError, train
from mecpaper.training.loop import NotFiniteError, Training

MEASURED = ["reward", "energy", "ecpr_f", "ecpr_m", "offload_share", "episode", "updates"]


@pytest.fixture
def maddpg(small):
    """The quickest experiment that learns."""
    return resolve(small, "maddpg", "default")


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_resumed_training_ends_with_the_same_numbers(small, tmp_path, algorithm):
    whole = Training(resolve(small, algorithm, "default"))
    whole.run()
    path = tmp_path / "state.safetensors"
    cut = Training(resolve(small, algorithm, "default"))
    cut.run(episodes=3 * small.run.episodes_at_once)
    assert cut.episode % small.run.curve_every, "between two points of the curve"
    cut.save(path)
    resumed = Training(resolve(small, algorithm, "default"))
    resumed.run(path)
    pd.testing.assert_frame_equal(resumed.curves(), whole.curves(), check_exact=True)
    for name, tensor in whole.learner.tensors().items():
        assert torch.equal(tensor, resumed.learner.tensors()[name]), name


def _trained(small, seeds, algorithm="cpo_maddpg"):
    training = Training(resolve(small, algorithm, "default", seeds))
    training.run()
    return training.curves().set_index(["seed", "episode"])[MEASURED[:5]]


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_seed_does_not_depend_on_the_seeds_it_is_batched_with(small, algorithm):
    together, alone = _trained(small, [*range(1, 17)], algorithm), _trained(small, [2], algorithm)
    pd.testing.assert_frame_equal(together.loc[[2]], alone, rtol=1e-3, atol=1e-4)
    # At the start nothing has been learned, so the first point must agree to float32 rounding.
    pd.testing.assert_frame_equal(together.loc[[(2, 0)]], alone.loc[[(2, 0)]], rtol=1e-6)


def _with_scenarios(small, **scenarios):
    data = small.model_dump()
    data["scenarios"] |= scenarios
    return parse(Config, data)


def test_a_scenario_gives_the_same_results_alone_and_batched_with_others(small):
    own = {"battery_capacity": 5.0, "cpo_maddpg": {"multiplier_fixed": 0.5}}
    config = _with_scenarios(small, little=own, full={"battery_capacity": 9.0})
    found = {name: resolve(config, "cpo_maddpg", name) for name in ("default", "little", "full")}
    together = Training(list(found.values()))
    together.run()
    for name, experiment in found.items():
        alone = Training(experiment)
        alone.run()
        one, other = alone.curves(), together.curves(experiment)
        pd.testing.assert_frame_equal(one[MEASURED], other[MEASURED], rtol=1e-3, atol=1e-4)
        assert set(other["scenario"]) == {name} and one["seed"].tolist() == other["seed"].tolist()
    assert together.curves(found["little"])["multiplier"].unique().tolist() == [0.5]
    summary = together.summaries()
    assert summary["cost_limit"].round(6).tolist() == [0.4] * 2 + [0.25] * 2 + [0.45] * 2


def test_scenarios_of_other_shapes_or_learning_numbers_are_not_batched(small):
    config = _with_scenarios(small, slow={"learning": {"polyak": 0.02}})
    for other in ("users_30", "slow"):
        with pytest.raises(ConfigError, match="share shapes"):
            Training([resolve(config, "cpo_maddpg", name) for name in ("default", other)])


def test_a_scenario_may_change_what_is_learned_and_how(small):
    config = _with_scenarios(small, other={"learning": {"polyak": 0.02}, "cpo_maddpg": {"replay": "uniform"}})
    other, default = (resolve(config, "cpo_maddpg", name) for name in ("other", "default"))
    assert (other.learning.polyak, other.own.replay) == (0.02, "uniform")
    assert resolve(config, "maddpg", "other").learning.polyak == 0.02
    assert (default.learning.polyak, default.own.replay) == (small.learning.polyak, "ca_per")
    assert not Training(other).learner.replay.prioritised
    assert Training(default).learner.replay.prioritised


def test_scenarios_joined_by_a_plus_have_the_changes_of_both(small):
    config = _with_scenarios(
        small, one={"battery_capacity": 5.0, "learning": {"polyak": 0.02}}, two={"learning": {"batch": 4}}
    )
    assert config.scenario("one+two").battery_capacity == 5.0
    experiment = resolve(config, "maddpg", "one+two")
    assert experiment.game == config.scenario("one+two")
    assert (experiment.learning.polyak, experiment.learning.batch) == (0.02, 4)
    with pytest.raises(ConfigError, match="scenario = 'three'"):
        config.scenario("one+three")


def test_a_reduced_scenario_gets_the_smaller_share_of_the_scale(small, tmp_path):
    short, default = (resolve(small, "maddpg", name) for name in ("short", "default"))
    whole = Training(default)
    assert Training(short).seeds == small.run.efforts["reduced"].seeds and whole.seeds == small.run.seeds
    assert train([short], tmp_path) == [short]
    summary = pd.read_csv(results.folder_of(tmp_path, short) / "summary.csv")
    whole.run()
    assert summary["seed"].tolist() == [3] and 0 < summary["updates"].iloc[0] < whole.learner.updates
    # A policy is kept only where the configuration names the scenario.
    assert not (results.folder_of(tmp_path, short) / "policy.safetensors").exists()
    with pytest.raises(ConfigError, match="share shapes"):
        Training([default, short])


def test_a_policy_is_of_the_results_beside_it_and_written_when_it_is_asked_for(small, tmp_path):
    kept = resolve(small, "maddpg", "default")
    folder = results.folder_of(tmp_path, kept)
    assert kept.keeps_policy and train([kept], tmp_path) == [kept]
    first = (folder / results.POLICY).read_bytes()
    other = resolve(_with_scenarios(small, default={"battery_capacity": 5.0}), "maddpg", "default")
    train([replace(other, keeps_policy=False)], tmp_path)
    assert not (folder / results.POLICY).exists() and not (folder / CARD).exists()
    # Its measures count, and only training is asked for it.
    assert results.missing([other], tmp_path) == [] and results.missing([other], tmp_path, policies=True) == [other]
    config = _with_scenarios(small, default={"battery_capacity": 5.0})
    told = {row["experiment"]: row for row in results.status(config, tmp_path)}["maddpg/default"]
    assert told["state"] == "missing" and told["detail"].startswith("only the policy")
    assert train([other], tmp_path) == [other] and (folder / results.POLICY).read_bytes() != first
    assert train([other], tmp_path) == []


def test_experiments_that_fit_are_one_program_and_each_gets_its_own_folder(small, tmp_path, monkeypatch):
    config = _with_scenarios(small, little={"battery_capacity": 5.0})
    wanted = [
        resolve(config, algorithm, name)
        for algorithm in ("maddpg", "random")
        for name in ("default", "little", "users_30")
    ]
    batched = experiments.groups(wanted, True)
    assert [[one.name for one in group] for group in batched] == [
        ["maddpg/default", "maddpg/little"], ["maddpg/users_30"], ["random/default", "random/little"],
        ["random/users_30"],
    ]  # fmt: skip
    assert experiments.groups(wanted, False) == [[experiment] for experiment in wanted]
    monkeypatch.setattr(experiments, "groups", lambda group, _: [list(group)])
    train(batched[0], tmp_path / "together")
    monkeypatch.undo()
    train(batched[0], tmp_path / "alone", processes=1)
    for experiment in batched[0]:
        both = [results.folder_of(tmp_path / name, experiment) for name in ("together", "alone")]
        assert sorted(path.name for path in both[0].iterdir()) == sorted(path.name for path in both[1].iterdir())
        for name in ("curves.csv", "summary.csv"):
            one, other = (pd.read_csv(folder / name)[["scenario", "seed", *MEASURED[:5]]] for folder in both)
            pd.testing.assert_frame_equal(one, other, rtol=1e-3, atol=1e-4)
        assert results.read(both[0]).key == experiment.key


# The others are tested by hand in test_algorithms.py: on this small game they happen to do what the default does.
VARIANTS = {
    "shared_actor": {"learning": {"actor": "shared"}},
    "separate_critics": {"learning": {"critic": "separate"}},
    "joint_critic": {"learning": {"critic": "joint"}},
    "team_reward": {"learning": {"reward": "team", "critic": "pooled"}},
    "security_cost": {"insecure_request_cost": 0.1},
    "multiplier_per_device": {"cpo_maddpg": {"multipliers": "device"}},
    "gated": {"cpo_maddpg": {"gated": True, "multiplier_fixed": 0.5}},
    "plain_gradient": {"cpo_maddpg": {"gradient": "lagrangian", "multiplier_fixed": 0.5}},
    "linear_heads": {"cpo_maddpg": {"critic_heads": "linear_heads"}},
    "multi_output": {"cpo_maddpg": {"critic_heads": "multi_output"}},
    "separate_heads": {"cpo_maddpg": {"critic_heads": "separate"}},
    "reward_per": {"cpo_maddpg": {"replay": "reward_per"}},
    "uniform": {"cpo_maddpg": {"replay": "uniform"}},
    "raw_errors": {"cpo_maddpg": {"priority_errors": "raw"}},
    "augmented": {"observation": "augmented"},
    "policy_warmup": {"learning": {"warmup": "policy"}},
    "chunks_in_order": {"learning": {"permute_chunks": False}},
}


def test_every_reading_and_ablation_trains_and_makes_a_difference(small):
    # Random play in the warm-up asks for insecure offloads, and a low limit moves the multipliers.
    data = small.model_dump()
    data["learning"]["warmup"] = "uniform"
    data["game"]["cost_limit_fraction"] = 0.02
    config = _with_scenarios(parse(Config, data), **VARIANTS, fixed={"cpo_maddpg": {"multiplier_fixed": 0.5}})
    curves = {}
    for name in ("default", "fixed", *VARIANTS):
        training = Training(resolve(config, "cpo_maddpg", name, [1]))
        training.run()
        curves[name] = torch.cat([w.flatten() for w in training.learner.actors.weights])
        assert torch.isfinite(curves[name]).all()
    for name, changes in VARIANTS.items():
        held = "multiplier_fixed" in changes.get("cpo_maddpg", {})
        base = curves["fixed" if held else "default"]
        assert curves[name].shape != base.shape or not torch.equal(curves[name], base), name


def test_seeds_differ(small):
    curves = _trained(small, [1, 2])
    assert not curves.loc[1].equals(curves.loc[2])


KILLED = """
import sys, json
from pathlib import Path
from mecpaper.training import experiments, loop
from mecpaper.config import Config, parse, resolve
loop.CHECKPOINT_SECONDS, loop.CHECKPOINT_SHARE = 0.05, 0.5
config = parse(Config, json.loads(Path(sys.argv[1]).read_text()))
import torch; torch.set_num_threads(1)
print("begins", flush=True)
experiments.train([resolve(config, "cpo_maddpg", "default")], Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_training_killed_at_any_moment_ends_with_the_same_results(small, tmp_path):
    data = small.model_dump()
    data["scales"][data["scale"]]["episodes"] = 64
    (tmp_path / "config.json").write_text(parse(Config, data).model_dump_json())
    command = [sys.executable, "-c", KILLED, str(tmp_path / "config.json")]
    for folder in ("calm", "killed"):
        (tmp_path / folder).mkdir()
    subprocess.run([*command, str(tmp_path / "calm")], check=True)
    # Each try is left a little longer, so that the last comes to its end.
    for kills in range(40):
        with subprocess.Popen([*command, str(tmp_path / "killed")], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.25 * (kills + 1))
                break
            process.kill()
    assert kills >= 2
    assert process.returncode == 0
    experiment = resolve(parse(Config, data), "cpo_maddpg", "default")
    calm, killed = (results.folder_of(tmp_path / name, experiment) for name in ("calm", "killed"))
    for name in ("curves.csv", "policy.safetensors", results.MARK):
        assert (calm / name).read_bytes() == (killed / name).read_bytes(), name
    assert not list((tmp_path / "killed" / "build" / "checkpoints").rglob("*.safetensors"))


def test_a_finished_experiment_is_kept_and_a_changed_one_trained_again(small, maddpg, tmp_path):
    assert train([maddpg], tmp_path) == [maddpg]
    assert train([maddpg], tmp_path) == []
    data = small.model_dump()
    data["learning"]["polyak"] = 0.02
    changed = resolve(parse(Config, data), "maddpg", "default")
    assert train([changed], tmp_path) == [changed]
    stored = results.read(results.folder_of(tmp_path, maddpg))
    assert stored.numbers["learning"]["polyak"] == 0.02
    assert stored.key == changed.key != maddpg.key


def test_the_experiments_own_numbers_only_decide(small):
    data = small.model_dump()
    data["cpo_maddpg"]["multiplier_rate"] = 0.5
    data["figures"]["smoothing"] = 9
    changed = parse(Config, data)
    assert data != small.model_dump()
    for algorithm, same in (("maddpg", True), ("cpo_maddpg", False)):
        now, before = (resolve(config, algorithm, "default") for config in (changed, small))
        assert (now.key == before.key) == same
        assert (Training(now).key == Training(before).key) == same


def test_a_checkpoint_of_another_configuration_is_refused_by_name(small, maddpg, tmp_path):
    path = tmp_path / "state.safetensors"
    Training(maddpg).save(path)
    with pytest.raises(CheckpointError, match=r"state\.safetensors: of another configuration"):
        Training(resolve(small, "maddpg", "users_30")).load(path)


def test_a_checkpoint_of_another_results_version_is_refused_by_name(small, tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    Training(resolve(small, "maddpg", "default")).save(path)
    monkeypatch.setattr(resolving, "RESULTS_VERSION", resolving.RESULTS_VERSION + 1)
    with pytest.raises(CheckpointError, match=r"state\.safetensors: of another configuration or version"):
        Training(resolve(small, "maddpg", "default")).load(path)


def test_one_flipped_bit_anywhere_in_a_checkpoint_is_noticed(small, tmp_path):
    path = tmp_path / "state.safetensors"
    training = Training(resolve(small, "cpo_maddpg", "default"))
    training.save(path)
    whole = path.read_bytes()
    for place in [*range(0, 400, 7), *range(400, len(whole), len(whole) // 200)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match=r"state\.safetensors: damaged"):
            training.load(path)


def test_one_trainer_at_a_time_for_an_experiment(small, maddpg, tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "PATIENCE", 0.1)
    with experiments._alone(tmp_path, [maddpg]):
        with pytest.raises(BusyError, match="maddpg/default: another process"):
            train([maddpg], tmp_path)
        assert train([resolve(small, "random", "default")], tmp_path)
    assert train([maddpg], tmp_path)


@pytest.mark.parametrize("name", ["curves.csv", "summary.csv", "policy.safetensors", results.MARK, results.CHECKSUMS])
def test_a_result_that_was_changed_is_named_and_not_trained_over(small, maddpg, tmp_path, name):
    (tmp_path / "params.yaml").write_text(small.model_dump_json())
    train([maddpg], tmp_path)
    path = results.folder_of(tmp_path, maddpg) / name
    whole = path.read_bytes()
    for changed in (whole[:-9], whole[:20] + bytes([whole[20] ^ 1]) + whole[21:]):
        path.write_bytes(changed)
        for read in (
            partial(results.read_tables, tmp_path, "summary"),
            partial(train, [maddpg], tmp_path),
        ):
            with pytest.raises(results.DamagedError, match=r"not what training wrote; (restore it|delete)") as caught:
                read()
            assert "\n" not in str(caught.value) and (name == results.CHECKSUMS or name in str(caught.value))
        assert path.read_bytes() == changed
    path.write_bytes(whole)
    assert not train([maddpg], tmp_path)


def test_what_a_killed_writer_left_is_removed_and_never_read(maddpg, tmp_path):
    folder = results.folder_of(tmp_path, maddpg)
    folder.mkdir(parents=True)
    (folder / ".curves.csv.123.part").write_text("seed,rew")
    train([maddpg], tmp_path)
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("keep", [0, 5, 400, -10])
def test_a_damaged_checkpoint_is_named(maddpg, tmp_path, keep):
    path = tmp_path / "state.safetensors"
    Training(maddpg).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"state\.safetensors: damaged") as caught:
        Training(maddpg).load(path)
    assert "\n" not in str(caught.value)


def test_a_nan_stops_the_run_with_step_and_tensor_and_keeps_the_curve(small, tmp_path, monkeypatch):
    original = Training.play_round

    def poisoned(self):
        if self.episode == 8:
            with torch.no_grad():
                self.learner.critic.weights[0][1].fill_(float("nan"))
        original(self)

    monkeypatch.setattr(Training, "play_round", poisoned)
    experiment = resolve(small, "cpo_maddpg", "default")
    with pytest.raises(
        NotFiniteError, match=r"critic_loss is not finite at update \d+ .*of cpo_maddpg/default, seed 2"
    ):
        train([experiment], tmp_path)
    folder = results.folder_of(tmp_path, experiment)
    assert pd.read_csv(folder / "curves.csv")["episode"].max() == 8
    assert results.read(folder) is None


def test_curves_can_be_read_while_they_grow(small, tmp_path):
    experiment = resolve(small, "maddpg", "default")
    assert results.growing_curves(tmp_path, [experiment]).empty
    seen = []

    def progress(done, total, label):
        seen.append((done, results.growing_curves(tmp_path, [experiment])["episode"].max()))

    train([experiment], tmp_path, progress=progress)
    assert len(seen) == 9 and all(last == done - done % 4 for done, last in seen)
    assert results.growing_curves(tmp_path, [resolve(small, "maddpg", "default", seeds=[5])]).empty


def test_an_algorithm_that_does_not_exist(small):
    with pytest.raises(ConfigError, match=r"'dqn': one of cpo_maddpg"):
        resolve(small, "dqn", "default")


def test_summary_has_a_row_per_seed_and_the_promised_columns(small, tmp_path):
    train([resolve(small, algorithm, "default") for algorithm in ("cpo_maddpg", "random")], tmp_path, processes=1)
    (tmp_path / "params.yaml").write_text(small.model_dump_json())
    table = results.collect(tmp_path)
    assert list(table.columns) == list(results.SUMMARY_COLUMNS)
    assert sorted(zip(table["algorithm"], table["seed"], strict=True)) == [
        ("cpo_maddpg", 1), ("cpo_maddpg", 2), ("random", 1), ("random", 2),
    ]  # fmt: skip
    assert (table["offload_share"] <= table["request_share"] + 1e-9).all()
    assert table.loc[table["algorithm"] == "random", "multiplier"].isna().all()


def test_only_named_results_with_the_present_numbers_count_and_the_others_are_listed(small, tmp_path, capsys):
    train([resolve(small, name, "default", [1]) for name in ("maddpg", "random")], tmp_path, processes=1)
    train([resolve(small, "maddpg", "short"), resolve(small, "matd3", "default")], tmp_path, processes=1)
    data = small.model_dump()
    data["experiments"] = {"maddpg": ["default"], "random": ["default"], "matd3": ["default"]}
    (tmp_path / "params.yaml").write_text(parse(Config, data).model_dump_json())
    assert set(results.collect(tmp_path)["algorithm"]) == {"matd3"}
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "ignored: maddpg/default, other configuration: scale.seeds = [1], now [1, 2]",
        "ignored: random/default, other configuration: scale.seeds = [1], now [1, 2]",
        "ignored: maddpg/short, left over: not named in params.yaml",
    ]


def test_heterogeneous_devices_are_trained_each_with_its_own_ranges(settings, small, tmp_path):
    data = small.model_dump()
    data["scenarios"]["heterogeneous"] = settings.scenarios["heterogeneous"]
    data["policies"] = ["heterogeneous"]
    found = parse(Config, data)
    for name in ("cpo_maddpg", "mappo"):
        experiment = resolve(found, name, "heterogeneous")
        assert train([experiment], tmp_path) == [experiment]
        policy = stored_policy(tmp_path, experiment)
        assert policy.trained_range(Game([experiment.game]))["battery_capacity"] == (5.0, 11.0)
        assert (2.0 * policy.centre[:, -3]).tolist() == [5.0, 7.0, 9.0, 11.0]


def test_the_checkpoint_interval_keeps_the_loss_under_a_minute():
    assert loop.CHECKPOINT_SECONDS < 60


@pytest.mark.parametrize("algorithm", [name for name, entry in ALGORITHMS.items() if entry.learns])
def test_learning_changes_every_agents_actor(small, algorithm):
    training = Training(resolve(small, algorithm, "default"))
    before = [w.detach().clone() for w in training.learner.actors.weights]
    while training.learner.updates < 2:
        training.play_round()
    for old, new in zip(before, training.learner.actors.weights, strict=True):
        assert (old != new).flatten(1).any(dim=1).all()


@pytest.mark.parametrize(
    ("change", "undo"),
    [
        (lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32)),
        (lambda: torch.set_default_device("meta"), lambda: torch.set_default_device(None)),
        (lambda: torch.use_deterministic_algorithms(True), lambda: torch.use_deterministic_algorithms(False)),
        (lambda: torch.set_autocast_enabled("cpu", True), lambda: torch.set_autocast_enabled("cpu", False)),
        (
            lambda: torch.set_float32_matmul_precision("medium"),
            lambda: torch.set_float32_matmul_precision("highest"),
        ),
    ],
    ids=["dtype", "device", "deterministic", "autocast", "precision"],
)
def test_settings_of_torch_that_would_change_numbers_are_refused_in_one_line(small, change, undo):
    experiment = resolve(small, "maddpg", "default")
    change()
    try:
        with pytest.raises(ConfigError, match=r"^torch's [\w ]+ = .+ is required for the stored numbers$"):
            Training(experiment)
    finally:
        undo()
    with torch.inference_mode(), pytest.raises(ConfigError, match=r"^torch's inference mode"):
        Training(experiment)
    assert Training(experiment).seeds == experiment.seeds


def test_an_experiment_takes_seeds_of_numpy(small):
    experiment = resolve(small, "maddpg", "default", np.arange(3))
    assert experiment.key == resolve(small, "maddpg", "default", [0, 1, 2]).key
