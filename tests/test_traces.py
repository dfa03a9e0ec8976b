"""Own measurements: trace files, accuracy curves, converted logs; and everything that plays them."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.interpolate import PchipInterpolator

from mecpaper import config, explorer
from mecpaper.__main__ import main
from mecpaper.config import ConfigError, parse, resolve
from mecpaper.config.measured import read_traces
from mecpaper.env.game import Game
from mecpaper.env.logs import convert
from mecpaper.env.measures import evaluate
from mecpaper.env.parallel import parallel_env
from mecpaper.env.streams import Stream, generators
from mecpaper.policies.controls import CONTROLS
from mecpaper.policies.planner import FAMILIES, plan
from mecpaper.policies.schedule import best_schedule
from mecpaper.system import channel, quality
from mecpaper.training.loop import Training

SLOTS, DEVICES = 12, 3


def table(slots=SLOTS, devices=DEVICES, **more):
    """Rows whose gain and harvest tell their slot and device: gain = 5 + slot + device / 10, harvest a hundredth."""
    slot, device = np.repeat(np.arange(slots), devices), np.tile(np.arange(devices), slots)
    gain = 5.0 + slot + device / 10.0
    return pd.DataFrame({"slot": slot, "device": device, "gain_db": gain, "harvest_j": gain / 100.0} | more)


@pytest.fixture
def written(tmp_path):
    """Write a table as a file, and return its name."""

    def write(content, name="traces.csv"):
        content.to_csv(tmp_path / name, index=False)
        return str(tmp_path / name)

    return write


@pytest.fixture
def curve(written):
    """An accuracy curve over the default range of resolutions, flat from 400 to 500 pixel."""
    points = {"resolution": [300, 400, 500, 600, 750], "accuracy": [0.05, 0.5, 0.5, 0.8, 0.9]}
    return written(pd.DataFrame(points), "curve.csv")


def begun(game, seed=3):
    """Gains and harvests that the devices see in every slot of an episode, `[slot, env, device]`."""
    played = Game([game], 6, dtype=torch.float64)
    observation, names, seen = played.reset(generators([seed], Stream.GAME)), played.observation_names, []
    for _ in range(game.slots):
        seen.append(observation[0])
        played.step(torch.zeros(1, 6, game.devices, played.action_size))
        observation = played.observe()
    seen = torch.stack([*seen, observation[0]])
    gains = [seen[..., names.index(f"gain_db_{k + 1}")] for k in range(game.chunks)]
    return torch.stack(gains, dim=-1), seen[..., names.index("harvest")], played


# -- windows -----------------------------------------------------------------------------------------------


def test_an_episode_is_a_window_of_the_file_that_the_seed_chooses(small, written):
    game = small.game.changed(traces=written(table()), devices=DEVICES)
    gain, harvest, _ = begun(game)
    start = gain[0, :, 0, 0] - 5.0
    assert len(set(start.tolist())) > 1 and start.min() >= 0 and start.max() <= SLOTS - game.slots
    rows = (start + torch.arange(game.slots + 1.0).view(-1, 1)).clamp(max=SLOTS - 1)
    expected = 5.0 + rows.unsqueeze(-1) + torch.arange(DEVICES) / 10.0
    torch.testing.assert_close(gain, expected.unsqueeze(-1).expand_as(gain))
    torch.testing.assert_close(harvest, expected / 100.0)
    assert torch.equal(begun(game)[0], gain) and not torch.equal(begun(game, seed=4)[0], gain)


def test_every_start_is_drawn_about_as_often(small, written):
    game = small.game.changed(traces=written(table()), devices=1)
    played = Game([game], 4000)
    played.reset(generators([0], Stream.GAME))
    starts = (played._episode_gain_db[0, 0, :, 0, 0] - 5.0).round().long()
    counts = torch.bincount(starts, minlength=SLOTS - game.slots + 1)
    assert len(counts) == SLOTS - game.slots + 1 and counts.min() > 0.8 * 4000 / len(counts)


def test_a_trace_of_t_slots_is_played_as_it_is(small, written):
    game = small.game.changed(traces=written(table(small.game.slots)), devices=DEVICES)
    gain = begun(game)[0][..., 0, 0]
    assert gain[:, 0].tolist() == [5.0, 6.0, 7.0, 8.0, 9.0, 9.0] and (gain == gain[:, :1]).all()


def test_more_devices_take_turns_with_windows_of_their_own(small, written):
    game = small.game.changed(traces=written(table()), devices=7)
    start = begun(game)[0][0, ..., 0] - 5.0 - torch.arange(7) % DEVICES / 10.0
    for turn in (start[:, :3], start[:, 3:6]):
        torch.testing.assert_close(turn, turn[:, :1].expand_as(turn))
    assert not torch.equal(start[:, 0].round(), start[:, 3].round())
    assert not torch.equal(start[:, 3].round(), start[:, 6].round())


def test_the_order_of_rows_and_the_first_slot_do_not_matter(small, written):
    rows = table()
    other = rows.assign(slot=rows["slot"] + 100).sample(frac=1.0, random_state=0)
    pair = [begun(small.game.changed(traces=written(part), devices=DEVICES))[0] for part in (rows, other)]
    assert torch.equal(*pair)


def test_a_column_per_chunk_and_the_eavesdroppers_own_gain_act(small, written):
    rows = table().drop(columns="gain_db").assign(gain_db_1=7.0, gain_db_2=9.0, eavesdropper_gain_db=2.0)
    game = small.game.changed(traces=written(rows), devices=DEVICES, gain_set="true_gain")
    gain, _, played = begun(game)
    assert (gain[..., 0] == 7.0).all() and (gain[..., 1] == 9.0).all()
    # rho is a tenth of the file's maximum, 0.9 dB; the eavesdropper's set is around its own gain.
    _, maximum, minimum = played._episode_heard
    torch.testing.assert_close(maximum, channel.from_decibel(torch.full_like(maximum, 2.9)))
    torch.testing.assert_close(minimum, channel.from_decibel(torch.full_like(minimum, 1.1)))


def test_without_the_eavesdroppers_gain_the_reading_says_what_it_hears(small, written):
    name = written(table())
    shared, own = (
        begun(small.game.changed(traces=name, gain_set="true_gain", eavesdropper_gain=reading, gain_error_fraction=0.0))
        for reading in ("shared", "independent")
    )
    for (gain, _, played), same in ((shared, True), (own, False)):
        heard = played._episode_heard[1][:, 0]
        assert torch.allclose(heard, channel.from_decibel(gain)) is same
        assert heard.min() >= channel.from_decibel(torch.tensor(4.99))


def test_observations_keep_the_scale_that_networks_expect(small, written):
    game = small.game.changed(traces=written(table()))
    env = parallel_env(game)
    observations, _ = env.reset(seed=1)
    actions = {agent: np.zeros(env.action_space(agent).shape) for agent in env.possible_agents}
    seen = [observations, *(env.step(actions)[0] for _ in range(game.slots))]
    assert all(env.observation_space(agent).contains(part[agent]) for part in seen for agent in part)
    centre, half = Game([game]).observation_range()
    assert game.gain_range == (5.0, 16.2) and float((centre + half)[0, 0, 4]) == pytest.approx(16.2)


# -- files that are refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(index=7), "column slot: no row for slot 2 of device 1 (see row 8); every device"),
        (lambda t: t[t["device"] != 0], "column slot: no row for slot 0 of device 0 (see the header)"),
        (lambda t: t[~((t["slot"] == 11) & (t["device"] == 2))], "no row for slot 11 of device 2 (see row 36)"),
        (lambda t: pd.concat([t, t.iloc[[4]]]), "row 38, slot = 1: given twice for device 1"),
        (lambda t: t.assign(slot=t["slot"] + 0.5), "row 2, slot = '0.5': a whole number from 0 to 1e+09"),
        (lambda t: t.assign(device=-1), "row 2, device = '-1': a whole number from 0"),
        (lambda t: t.assign(harvest_j=np.where(t.index == 5, -0.1, 0.1)), "row 7, harvest_j = '-0.1': a number from 0"),
        (
            lambda t: t.assign(gain_db=np.where(t.index == 5, 1e4, 9)),
            "row 7, gain_db = '10000.0': a number from -200 to",
        ),
        (lambda t: t.assign(gain_db=t["gain_db"].where(t.index != 5)), "row 7, gain_db = '': a number"),
        (lambda t: t.assign(gain_db="nan"), "row 2, gain_db = 'nan': a number from -200 to 60 dB"),
        (lambda t: t.assign(gain_db=-3.0), "[-3.0, -3.0]: the maximum must not be negative, rho is a share of it (D7)"),
        (lambda t: t.drop(columns="harvest_j"), "column harvest_j: required, but missing; the header has slot, device"),
        (lambda t: t.drop(columns="gain_db"), "column gain_db: required, but missing"),
        (lambda t: t.rename(columns={"gain_db": "gain_db_2"}), "column gain_db_1: required, but missing"),
        (lambda t: t.assign(eavesdroper_gain_db=9.0), "column eavesdroper_gain_db: unknown; slot, device, gain_db"),
        (
            lambda t: t.rename(columns={"gain_db": "gain_db_1"}).assign(gain_db_2=9, gain_db_3=9),
            "gain_db_1 to gain_db_3; 2 of them (chunks), or one gain_db",
        ),
        (lambda t: t[t["slot"] < 4], "4 slots, at least 5 (slots) are required"),
        (lambda t: t[:0], "no rows below the header"),
    ],
)
def test_a_wrong_trace_is_refused_in_one_line_with_file_row_and_column(small, written, change, message):
    name = written(change(table()))
    with pytest.raises(ConfigError) as refused:
        small.game.changed(traces=name)
    said = str(refused.value)
    assert message in said and said.startswith("game.traces = ") and "traces.csv" in said and "\n" not in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a CSV file in UTF-8"),
        (b"slot,device\xff\n1,2\n", "not a CSV file in UTF-8"),
        (b"slot,device,gain_db,harvest_j\n0,0,9,1\n0,0,9,1,5\n", "Expected 4 fields in line 3, saw 5"),
        (b"slot,device,gain_db,harvest_j\n0,0,9,1,5\n", "more values in a row than names in the header"),
        (b"slot,device,gain_db,harvest_j\n0,0,9\n", "row 2, harvest_j = '': a number"),
        (None, "no such file"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(small, tmp_path, content, message):
    if content is not None:
        (tmp_path / "traces.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(message)) as refused:
        small.game.changed(traces=str(tmp_path / "traces.csv"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [3, "", ["a.csv"], {"file": "a.csv"}, True])
def test_what_is_no_name_is_refused(small, value):
    with pytest.raises(ConfigError, match=r"^game\.traces = .*: the name of a CSV file, or null$"):
        small.game.changed(traces=value)


# -- fingerprints ------------------------------------------------------------------------------------------


def traced(small, name, **more):
    data = small.model_dump()
    data["game"] |= {"traces": name} | more
    return parse(config.Config, data)


def test_the_content_of_the_file_and_not_its_folder_is_part_of_the_key(small, written, tmp_path):
    key = resolve(small, "maddpg", "default").key
    first = resolve(traced(small, written(table())), "maddpg", "default").key
    (tmp_path / "below").mkdir()
    shutil.copy(tmp_path / "traces.csv", tmp_path / "below")
    moved = resolve(traced(small, str(tmp_path / "below" / "traces.csv")), "maddpg", "default").key
    changed = resolve(traced(small, written(table().assign(harvest_j=0.1))), "maddpg", "default").key
    assert first == moved and len({key, first, changed}) == 3


def test_without_files_an_experiment_has_the_numbers_of_before(small):
    assert not {"traces", "accuracy_curve"} & set(resolve(small, "maddpg", "default").numbers["game"])


def test_a_configuration_carries_its_files_and_a_scenario_takes_them_away(small, written, curve, tmp_path):
    whole = traced(small, written(table()), accuracy_curve=curve)
    for name in ("traces.csv", "curve.csv"):
        (tmp_path / name).unlink()
    there = pickle.loads(pickle.dumps(resolve(whole, "maddpg", "default")))
    assert there.key == resolve(whole, "maddpg", "default").key and there.game == whole.game
    assert begun(there.game)[0].shape[0] == 6
    assert whole.game.changed(traces=None, accuracy_curve=None) == small.game
    experiments = [resolve(part, "maddpg", "default") for part in (small, whole)]
    with pytest.raises(ConfigError, match=r"^traces = traces\.csv \(sha256 \w{16}\): None, as in the batch's first"):
        Game([experiment.game for experiment in experiments])
    assert experiments[0].batch_key != experiments[1].batch_key


def test_a_relative_name_is_below_the_working_directory_or_the_project(small, written, root, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert small.game.changed(traces="data/traces/drive.csv").traces.harvest.shape == (300, 4)
    written(table())
    assert small.game.changed(traces="traces.csv").traces.harvest.shape == (SLOTS, DEVICES)


# -- accuracy ----------------------------------------------------------------------------------------------


def test_eq16_a_measured_curve_is_that_of_scipy_with_its_derivative(small, curve):
    measured = small.game.changed(accuracy_curve=curve).accuracy_curve
    resolution = torch.linspace(300.0, 750.0, 901, dtype=torch.float64, requires_grad=True)
    value = quality.measured_accuracy(
        resolution, torch.tensor(measured.resolution), torch.tensor(measured.coefficients)
    )
    (slope,) = torch.autograd.grad(value.sum(), resolution)
    expected = PchipInterpolator([300, 400, 500, 600, 750], [0.05, 0.5, 0.5, 0.8, 0.9])
    at = resolution.detach().numpy()
    np.testing.assert_allclose(value.detach().numpy(), expected(at), atol=1e-12)
    np.testing.assert_allclose(slope.numpy(), expected.derivative()(at), atol=1e-12)
    assert (value.diff() >= -1e-12).all() and value[200:400].diff().abs().max() < 1e-12


def test_a_measured_curve_is_what_the_game_and_the_planner_use(small, curve):
    game = small.game.changed(accuracy_curve=curve)
    played = Game([game], 2)
    played.reset(generators([1], Stream.GAME))
    slot = played.step(torch.rand(1, 2, game.devices, played.action_size))
    points = PchipInterpolator([300, 400, 500, 600, 750], [0.05, 0.5, 0.5, 0.8, 0.9])
    np.testing.assert_allclose(slot.accuracy.numpy(), points(slot.resolution.numpy()), atol=1e-6)
    # Above 400 pixel the curve is flat up to 500: no plan goes there for nothing.
    vector, _ = best_schedule(game, False, FAMILIES["always-local"])
    low, high = game.resolution
    resolution = low + 0.5 * (vector[2] + 1.0) * (high - low)
    assert not 405 < resolution < 500


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"resolution": [300, 300, 800], "accuracy": [0, 0.5, 1]}, "row 3, resolution = '300': above 300, that of the"),
        ({"resolution": [300, 800], "accuracy": [20, 95]}, "row 2, accuracy = '20': a number from 0 to 1"),
        ({"resolution": [300], "accuracy": [0.5]}, "1 row: at least 2 points"),
        ({"resolution": [300, 800]}, "column accuracy: required, but missing"),
        (
            {"resolution": [400, 800], "accuracy": [0, 1]},
            "from 400 to 800 pixel, resolution = [320, 720] must lie within",
        ),
    ],
)
def test_a_wrong_curve_is_refused_in_one_line(small, written, points, message):
    with pytest.raises(ConfigError) as refused:
        small.game.changed(accuracy_curve=written(pd.DataFrame(points)))
    said = str(refused.value)
    assert message in said and said.startswith("game.accuracy_curve = ") and "\n" not in said


# -- everything that plays ---------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["cpo_maddpg", "mappo"])
def test_a_training_on_traces_ends_with_the_same_numbers_twice(small, written, curve, algorithm):
    experiment = resolve(traced(small, written(table()), accuracy_curve=curve), algorithm, "default", [1])
    first, again = Training(experiment), Training(experiment)
    first.run(), again.run()
    columns = [name for name in first.summaries().columns if name != "seconds"]
    assert first.summaries()[columns].equals(again.summaries()[columns])
    assert np.isfinite(first.summaries()[["reward", "energy"]].to_numpy()).all()


def test_the_planner_plans_for_the_traces(small, written):
    # A device alone, which no other masks: secure where it is heard less than received.
    shares = []
    for own, other in ((0.0, 30.0), (30.0, 0.0)):
        rows = table().assign(gain_db=own, eavesdropper_gain_db=other)
        game = small.game.changed(traces=written(rows), devices=1)
        vector, _ = plan([game], [0], FAMILIES["stationary"], True, 2)[0]
        played = Game([game], 4)
        policy = FAMILIES["stationary"].policy(played, torch.as_tensor(vector[None], dtype=played.dtype))
        shares.append(float(evaluate(policy, played, [5])["offload_share"][0]))
    assert shares == [0.0, 1.0]


def test_the_explorer_plays_the_traces_and_says_so(small, written):
    settings = traced(small, written(table()), chunks=1)
    state = explorer.state_of(settings.game, "random")
    result = explorer.compute(settings, state, CONTROLS)
    assert set(result.request_gain.round(1)) <= set(table()["gain_db"].round(1).astype(np.float32))
    assert any("traces.csv" in notice for notice in result.notices)
    assert not any("traces" in notice for notice in explorer.compute(small, state, CONTROLS).notices)


# -- logs --------------------------------------------------------------------------------------------------


def test_a_drive_test_becomes_its_sinr_slot_by_slot(tmp_path):
    rows = ["Timestamp,RSRP,SS-SINR", "2026.01.15_08.00.00,-80,10", "2026.01.15_08.00.01,-80,14"]
    rows += ["2026.01.15_08.00.02,-80,-", "2026.01.15_08.00.06,-80,20", "2026.01.15_08.00.07,-80,22"]
    (tmp_path / "log.csv").write_text("\n".join(rows))
    found = convert([tmp_path / "log.csv"], "kpi", harvest=0.5, slot=2.0)
    # Slots of 2 s: 10 and 14; nothing twice, filled from 12 to 21; 20 and 22.
    assert found["gain_db"].tolist() == [12.0, 15.0, 18.0, 21.0] and (found["harvest_j"] == 0.5).all()
    assert convert([tmp_path / "log.csv"], "kpi", 0.5, 2.0, mean_db=9.0)["gain_db"].tolist() == [4.5, 7.5, 10.5, 13.5]
    lines = [line.rpartition(",")[0] for line in rows]
    (tmp_path / "rsrp.csv").write_text("\n".join(lines))
    assert set(convert([tmp_path / "rsrp.csv"], "kpi", 0.5)["gain_db"]) == {42.2}


def test_a_throughput_becomes_the_gain_that_shannons_formula_needs(tmp_path):
    (tmp_path / "log.txt").write_text("0.0 20\n1.0 40\n2.0 0\n")
    gain = convert([tmp_path / "log.txt"], "throughput", 0.0, bandwidth=20e6)["gain_db"].to_numpy()
    rate = channel.shannon_rate(20e6, channel.from_decibel(torch.tensor(gain)), 1.0)
    np.testing.assert_allclose(rate[:2] / 1e6, [20.0, 40.0], rtol=2e-3)
    assert gain[2] == -30.0


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("kpi", "a,b\n1,2\n", "a column Timestamp and one of SINR, RSRP; the header has a, b"),
        ("kpi", "time,SINR\n0,9\nlater,9\n", "row 3, time = 'later': no time"),
        ("kpi", "time,SINR\n0,-\n", "no measurement in it"),
        ("kpi", "time,SINR\n0,9\n30,9\n", "nothing measured from 0 to 30 s; at most 10 slots of 1 s are filled"),
        ("kpi", "time,SINR\n0,90\n", "gain = 90.0 dB: from -200 to 60"),
        ("throughput", "0 1\n1 -2\n", "row 2: seconds and Mbit/s, two numbers, the second not negative"),
        ("throughput", "0 1 2\n", "3 columns; two, seconds and Mbit/s"),
        ("throughput", "", "no table"),
        ("throughput", None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_wrong_log_is_refused_in_one_line(tmp_path, kind, content, message):
    if content is not None:
        (tmp_path / "log").write_text(content)
    with pytest.raises(ConfigError, match=re.escape(message)) as refused:
        convert([tmp_path / "log"], kind, 0.0)
    assert "\n" not in str(refused.value)


def test_the_files_of_the_project_are_those_that_their_seed_makes(root, tmp_path):
    shutil.copy(root / "data" / "traces" / "make.py", tmp_path)
    subprocess.run([sys.executable, tmp_path / "make.py"], check=True, env={"PYTHONPATH": str(root)})
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {path.name for path in (root / "data" / "traces").iterdir()} - {"README.md"}
    for name in made:
        assert (tmp_path / name).read_bytes() == (root / "data" / "traces" / name).read_bytes(), name


def test_notebooks_take_the_accuracy_from_the_game_and_not_from_the_constants_of_eq16(root):
    for path in (root / "notebooks").glob("*.ipynb"):
        code = "".join("".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code")
        assert "quality.accuracy(" not in code, path.name


# -- as a user would ---------------------------------------------------------------------------------------


def told(capsys, *arguments):
    """Exit status, output and messages of a command."""
    status = main([str(argument) for argument in arguments])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_logs_are_converted_and_a_stored_policy_is_measured_on_them_with_a_warning(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MECPAPER_ROOT", str(root))
    monkeypatch.chdir(tmp_path)
    logs = sorted((root / "data" / "traces").glob("kpi_*.csv"))
    status, out, _ = told(capsys, "convert", *logs, "--from", "kpi", "--mean-db", 9, "--out", "my drive.csv")
    assert status == 0 and "4 devices, 300 slots; gain in dB: minimum" in out
    shipped = read_traces(root / "data" / "traces" / "drive.csv")
    np.testing.assert_array_equal(read_traces(tmp_path / "my drive.csv").gain_db, shipped.gain_db)
    few = ("--set", "evaluation.final_episodes=1", "--set", "planner.generations=1", "--trace", "my drive.csv")
    status, out, err = told(capsys, "eval", "cpo_maddpg", "random", "always-local", *few)
    assert status == 0 and re.search(r"reward +\S+ +\S+ +\S+", out)
    assert re.fullmatch(
        r"warning: cpo_maddpg: trained in another game: .*traces = None, here my drive.csv \(sha256 .*\n",
        err.replace("cpo_maddpg/default", "cpo_maddpg"),
    )
    for wrong, message in (
        (["eval", "random", "--trace", "none.csv"], "game.traces = 'none.csv': no such file"),
        (["convert", "none.csv", "--from", "kpi", "--out", "a.csv"], "none.csv: cannot be read"),
        (["convert", logs[0], "--from", "kpi", "--out", "a.csv", "--slot", "0"], "--slot = 0.0: from 1e-06"),
        (["convert", logs[0], "--from", "kpi", "--out", "a.csv", "--slot", "inf"], "--slot = inf: from 1e-06"),
        (["convert", logs[0], "--from", "kpi", "--out", "a.csv", "--harvest", "-1"], "--harvest = -1.0: from 0 to"),
        (["convert", logs[0], "--from", "kpi", "--out", "my drive.csv", "--harvest", "1e7"], "--harvest = 10000000.0"),
        (["convert", "my drive.csv", "--from", "kpi", "--out", "./my drive.csv"], "another file than the logs"),
    ):
        status, out, err = told(capsys, *wrong)
        assert status == 2 and not out and message in err and err.count("\n") == 1
    assert not (tmp_path / "a.csv").exists() and read_traces(tmp_path / "my drive.csv").gain_db.shape == (300, 4, 1)


@pytest.mark.slow
def test_own_runs_on_traces_are_trained_stored_measured_and_exported(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MECPAPER_ROOT", str(root))
    monkeypatch.chdir(tmp_path)
    shutil.copy(root / "data" / "traces" / "drive.csv", tmp_path / "my.csv")
    size = ("--scale", "smoke", "--set", "learning.hidden=[8, 8, 8]", "--seeds", "1", "--out", "runs/mine")
    train = ("train", "maddpg", *size, "--set", "game.traces=my.csv")
    assert told(capsys, *train)[0] == 0
    stored = json.loads((tmp_path / "runs/mine/maddpg/default/experiment.json").read_text())
    assert re.fullmatch(r"my\.csv \(sha256 \w{16}\)", stored["game"]["traces"])
    assert "0 experiments trained" in told(capsys, *train)[1]
    same = ("eval", "runs/mine", "--set", "evaluation.final_episodes=1", "--json")
    rows = [json.loads(told(capsys, *same, *more)[1])[0] for more in (["--trace", "my.csv"], [])]
    assert rows[0]["warning"] == "" and "game.traces = my.csv (sha256" in rows[1]["warning"]
    assert told(capsys, "export", "runs/mine", "--device", 0, "--out", "onnx")[0] == 0
    # Another content under the same name is another experiment.
    (tmp_path / "my.csv").write_text((tmp_path / "my.csv").read_text() + "300,0,9,1\n300,1,9,1\n300,2,9,1\n300,3,9,1\n")
    status, _, err = told(capsys, *train)
    assert status == 2 and "holds other runs (game.traces = my.csv (sha256" in err


@pytest.mark.slow
def test_the_recipe_of_the_readme_runs_as_it_is_printed(root, tmp_path):
    text = (root / "README.md").read_text(encoding="utf-8")
    recipe = re.search(r"(?s)## Your own traces\n.*?```\n(.*?)```", text)[1]
    shutil.copytree(root / "data" / "traces", tmp_path / "data" / "traces")
    command = f'set -e\nmecpaper() {{ "{sys.executable}" -m mecpaper "$@"; }}\n{recipe}'
    environment = os.environ | {"MECPAPER_ROOT": str(root), "PYTHONPATH": str(root)}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"(?m)^reward ", done.stdout)) == recipe.count("mecpaper eval") == 3
    assert len(re.findall("warning: cpo_maddpg/default: trained in another game", done.stderr)) == 2
