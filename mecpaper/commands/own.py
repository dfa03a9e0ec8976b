"""Own experiments: train any, measure a policy anywhere, compare runs, plan, export."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mecpaper.commands.parser import OWN, as_json, changes, command, print_json, settings
from mecpaper.config import (
    ALGORITHMS,
    Config,
    ConfigError,
    Experiment,
    GameConfig,
    check_effect,
    find_root,
    load,
    named,
    parse,
    resolve,
)
from mecpaper.config.tables import read_table
from mecpaper.report.tables import measured, to_markdown
from mecpaper.store import results
from mecpaper.training import live

UNITS = dict.fromkeys(("energy", "battery", "penalty", "local_energy", "offload_energy", "cost_limit"), "J")
UNITS |= {"latency": "s", "frame_rate": "1/s", "resolution": "pixel", "transmit_power": "W", "cpu_frequency": "Hz"}
"""Measure -> its unit; the others are numbers."""


def _train(parser: argparse.ArgumentParser) -> None:
    learners = ", ".join(ALGORITHMS)
    parser.add_argument("algorithm", nargs="?", help=f"{learners}; several with commas, or all")
    parser.add_argument("scenario", nargs="?", default="default", help="of params.yaml; several with commas")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help="a run for each; by default the scale's")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the results; needed for any change")
    parser.add_argument("--log", choices=live.KINDS, help="log learning curves while they grow; off by default")


@command("train", OWN, _train, changes, as_json)
def train(options: argparse.Namespace) -> int:
    """Train an algorithm in a scenario, as in params.yaml or with changes, or all that params.yaml names.

    Without an algorithm, every experiment of params.yaml that is not stored is trained into data/runs. What params.yaml
    does not name, or names with other numbers, goes into a folder of your own. An interrupted training goes on with the
    same command; what is stored is not trained again. DASK_SCHEDULER_ADDRESS trains on a cluster.

    mecpaper train maddpg default --scale smoke --set learning.batch=64 --seeds 1 2 3 --out runs/mine
    mecpaper train maddpg,cpo_maddpg users_30 --scale demo --out runs/thirty
    mecpaper train all --set game.devices=8 --set 'game.gain_db=[6, 12]' --scale demo --out runs/eight
    mecpaper train maddpg --trace my.csv --scale demo --out runs/traced
    mecpaper train maddpg,mappo --scale demo --out runs/watched --log tensorboard
    """
    from tqdm import tqdm

    from mecpaper.training import cluster

    root, base, config, changed = settings(options)
    check_effect(base, changed, lambda c: [(e.name, e.key) for e in chosen(c, options)])
    experiments = chosen(config, options)
    target = root if options.out is None else options.out.resolve()
    if options.out is None:
        _check_named(base, experiments)
    else:
        if target.is_file():
            raise ConfigError(f"--out = {str(options.out)!r}: a folder, not a file")
        if target.is_relative_to(root / "data"):
            raise ConfigError(f"--out = {str(options.out)!r}: a folder outside data, which is for params.yaml as it is")
        experiments = [replace(e, folder=".", keeps_policy=e.entry.learns) for e in experiments]
        _check_free(target, experiments)
    for experiment in experiments:
        # A user's own class that cannot be imported is refused before anything starts.
        experiment.entry.learner_class()
    wanted = results.missing(experiments, target, policies=True) if options.log else []
    with live.opened(options.log, wanted, target) as follow, tqdm(unit="episode") as bar:
        if wanted:
            bar.write(f"Live log: {live.line(options.log, wanted, target)}", file=sys.stderr)

        def report(done: int, total: int, label: str) -> None:
            bar.total, bar.n = total, done
            bar.set_description(label)
            follow()

        trained = {experiment.name for experiment in cluster.train(experiments, target, report)}
    rows = [_row(e, results.folder_of(target, e), e.name in trained) for e in experiments]
    if options.json:
        print_json(rows)
        return 0
    place = target / experiments[0].folder if experiments else target
    print(f"{len(trained)} experiments trained into {place}, {len(rows) - len(trained)} were stored")
    if options.out is not None:
        tables = {row["experiment"]: read_table(Path(row["folder"]) / "summary.csv") for row in rows}
        means = [{"runs": name} | measured(table) for name, table in tables.items()]
        print(to_markdown(pd.DataFrame(means), plain=True), f"Next: mecpaper compare {options.out}", sep="\n")
    return 0


def chosen(config: Config, options: argparse.Namespace) -> list[Experiment]:
    """Resolve the experiments that the arguments of `mecpaper train` name."""
    if options.algorithm is None:
        if options.seeds:
            return [resolve(config, e.algorithm, e.scenario, options.seeds) for e in named(config)]
        return named(config)
    algorithms = ALGORITHMS if options.algorithm == "all" else dict.fromkeys(options.algorithm.split(","))
    scenarios = dict.fromkeys(options.scenario.split(","))
    return [resolve(config, algorithm, name, options.seeds) for algorithm in algorithms for name in scenarios]


def _row(experiment: Experiment, folder: Path, trained: bool) -> dict[str, Any]:
    return {
        "experiment": experiment.name,
        "folder": str(folder),
        "seeds": experiment.seeds,
        "state": "trained" if trained else "was stored",
    }


def _check_named(config: Config, experiments: Iterable[Experiment]) -> None:
    """Check that data/runs gets only what params.yaml names. Raises ConfigError."""
    known = {experiment.key for experiment in named(config)}
    other = [experiment.name for experiment in experiments if experiment.key not in known]
    if other:
        raise ConfigError(
            f"--out: a folder is required, such as runs/mine; data/runs holds what params.yaml names, and {other[0]} "
            "is not named there with these numbers"
        )


def _check_free(target: Path, experiments: Iterable[Experiment]) -> None:
    """Check that no stored run with other numbers would be overwritten. Raises ConfigError, DamagedError."""
    for experiment in experiments:
        folder = results.folder_of(target, experiment)
        stored = results.read(folder)
        if stored is not None and stored.key != experiment.key:
            differ = results.differences(stored.numbers, experiment.numbers) or ["another version of mecpaper"]
            raise ConfigError(f"--out: {folder} holds other runs ({'; '.join(differ)}); another folder, or delete it")


def _eval(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "policy",
        nargs="+",
        metavar="POLICY",
        help="a folder or file of runs, an algorithm of data/runs (cpo_maddpg, cpo_maddpg/attacker_strong), or "
        "random, always-local, planner",
    )
    parser.add_argument("--scenario", default="default", help="scenario of params.yaml to play; by default default")


@command("eval", OWN, _eval, changes, as_json)
def evaluate(options: argparse.Namespace) -> int:
    """Measure a stored policy, or a yardstick, in any scenario.

    Without exploration noise, on the episodes on which final policies are measured, so that rows compare. A line on
    standard error says if a policy was trained in another game. random plays uniform actions; always-local and planner
    are the best plans within the energy limit, searched here for the game that is played (some seconds).

    mecpaper eval cpo_maddpg --scenario users_50
    mecpaper eval runs/mine cpo_maddpg random planner --set 'game.gain_db=[6, 12]' --json
    mecpaper eval cpo_maddpg random always-local planner --trace my.csv
    """
    import torch

    from mecpaper.policies import transfer
    from mecpaper.training import memory

    torch.set_num_threads(1)
    root, base, config, changed = settings(options)
    check_effect(base, changed, lambda c: (c.scenario(options.scenario), c.evaluation, c.planner, c.run.seeds))
    game = config.scenario(options.scenario)
    memory.require_play(game, config.evaluation)
    rows = []
    for name in options.policy:
        found = transfer.find(name, root, config, game)
        warning = found.warning(game)
        if warning and not options.json:
            print(f"warning: {warning}", file=sys.stderr)
        measures = transfer.measure(found, game, config.evaluation)
        rows.append({"policy": name, "scenario": options.scenario, "warning": warning, "measures": measures})
    if options.json:
        print_json(rows)
        return 0
    table = pd.DataFrame({row["policy"]: row["measures"] for row in rows}).astype(float)
    table.index = [f"{name} ({UNITS[name]})" if name in UNITS else name for name in table.index]
    print(f"{options.scenario}: {config.evaluation.final_episodes} episodes, {game.devices} devices")
    print(table.to_string(float_format="{:.6g}".format, na_rep="none"))
    return 0


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", type=Path, help="a folder that mecpaper train --out has made")
    parser.add_argument(
        "reference", nargs="?", default="default", help="scenario of data/runs, or another folder; by default default"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="of table and picture; by default that of the runs")


@command("compare", OWN, _compare, as_json)
def compare(options: argparse.Namespace) -> int:
    """Compare own runs with the stored baselines of a scenario, or with other runs: table, picture, statistics.

    Each of the own experiments is compared with each other one in reward and energy: Welch's interval of the difference
    of means, at the level of Holm's procedure over the comparisons, and an answer as for the paper's claims, which
    needs five seeds. Written are comparison.csv, differences.csv and comparison.png, .svg and .pdf.

    mecpaper compare runs/mine default
    mecpaper compare runs/mine runs/other
    """
    from mecpaper.claims import comparison
    from mecpaper.commands.comparing import draw, named_runs, plans, references

    root, _, config, _ = settings(argparse.Namespace(scale=None, set=[], trace=None))
    own = named_runs(options.runs)
    if not own:
        raise ConfigError(f"runs = {str(options.runs)!r}: no complete experiment; mecpaper train --out makes some")
    others = references(root, options.reference, options.runs)
    folder = options.out or options.runs
    if (folder / results.MARK).exists() or folder.resolve().is_relative_to(root / "data"):
        raise ConfigError(f"--out = {str(folder)!r}: a folder of its own is required, since training wrote this one")
    runs, numbers = comparison.read(own | others)
    planned = plans(options.runs / "planner.csv")
    if not planned and options.reference in config.scenarios:
        game = config.scenario(options.reference).numbers
        if all(numbers[name]["game"] == game for name in own):
            planned = plans(root / "data" / "runs" / "planner.csv", options.reference)
    table = comparison.overview(runs, planned)
    compared = [comparison.differences(runs, name, [o for o in (others or own) if o != name]) for name in own]
    found = pd.concat(compared, ignore_index=True)
    notes = comparison.notes(numbers, own, others or own)
    files = draw(runs, table, found, planned, folder, config.figures.confidence)
    if options.json:
        rows = json.loads(found.to_json(orient="records"))
        print_json({"runs": table.to_dict("records"), "differences": rows, "notes": notes, "files": files})
        return 0
    print(to_markdown(table, True), "", to_markdown(comparison.in_words(found), True), "", sep="\n")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if not planned:
        path = options.runs / "planner.csv"
        print(f"note: no yardsticks: mecpaper plan SCENARIO --out {path}, with the --set of the runs", file=sys.stderr)
    print(f"Written: {', '.join(files)}")
    return 0


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", nargs="?", default="default", help="scenario of params.yaml; by default default")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the table as CSV, for mecpaper compare")


@command("plan", OWN, _plan, changes, as_json)
def plan(options: argparse.Namespace) -> int:
    """Search a scenario for the best fixed policies, with and without the energy limit, and measure them.

    The yardsticks of a game: all local, and with offloading. It takes about a minute at 20 devices.

    mecpaper plan users_50
    mecpaper plan --set game.devices=8 --out runs/eight/planner.csv
    """
    import torch

    from mecpaper.policies.planner import planner_table
    from mecpaper.policies.transfer import PLANNED
    from mecpaper.store.files import write_table
    from mecpaper.training.memory import require_play

    torch.set_num_threads(1)
    _, base, config, changed = settings(options)
    check_effect(
        base, changed, lambda c: (c.scenario(options.scenario), c.planner, c.evaluation, c.run.planner_restarts)
    )
    games, evaluation = {options.scenario: config.scenario(options.scenario)}, config.evaluation
    require_play(games[options.scenario], evaluation)
    effort = config.run.planner_restarts, config.planner.generations
    try:
        table = planner_table(games, list(PLANNED.values()), *effort, evaluation.seed, evaluation.final_episodes)
    except ImportError:
        raise ConfigError("plan: needs the extra, pip install 'mecpaper[planner]'") from None
    best = table.loc[table.groupby(["policy", "constrained"], sort=False)["reward"].idxmax()]
    if options.out:
        write_table(options.out, table)
    if options.json:
        print_json(json.loads(best.to_json(orient="records")))
        return 0
    print(best.drop(columns=["game", "restart", "planned_reward"]).T.to_string(header=False, na_rep="none"))
    return 0


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("algorithm", metavar="POLICY", help="algorithm of data/runs, or a folder or file of runs")
    parser.add_argument("scenario", nargs="?", help="scenario of data/runs; by default default")
    parser.add_argument("--device", type=int, help="index of the only device to export, from 0; by default all")
    parser.add_argument("--out", type=Path, help="target folder; by default build/onnx of the project")


@command("export", OWN, _export, as_json)
def export(options: argparse.Namespace) -> int:
    """Export a stored policy's actors as ONNX files, one per device, with the ranges of the game of its training.

    mecpaper export cpo_maddpg attacker_strong
    mecpaper export runs/mine/maddpg/default --device 0 --out build/mine
    """
    from mecpaper.policies import transfer
    from mecpaper.policies.export import export_actors
    from mecpaper.policies.stored import StoredPolicy

    root = find_root()
    if Path(options.algorithm).exists() and options.scenario is None:
        found = transfer.read(Path(options.algorithm))
    else:
        config = load(root / "params.yaml")
        found = transfer.stored(root, resolve(config, options.algorithm, options.scenario or "default"))
    if found.game is None or not isinstance(found.policy, StoredPolicy):
        raise ConfigError(f"policy = {options.algorithm!r}: no {results.MARK} beside it tells the game of its training")
    folder = options.out or root / "build" / "onnx"
    # An actor has the ranges of its decisions; it needs no measurements.
    game = parse(GameConfig, found.game | {"traces": None, "accuracy_curve": None}, "game")
    written = export_actors(found.policy, game, folder, options.device)
    if options.json:
        print_json({"folder": str(folder), "actors": written})
    else:
        print(f"{written} actors written to {folder}")
    return 0
