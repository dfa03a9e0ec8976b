"""Own measurements: logs as traces that a game plays."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mecpaper.commands.parser import OWN, as_json, command, print_json
from mecpaper.config import ConfigError, find_root, load
from mecpaper.config.measured import HARVEST_J


def _convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="a file for each device")
    parser.add_argument(
        "--from", dest="kind", choices=["kpi", "throughput"], required=True, help="what the logs are; see above"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="the trace file, CSV")
    parser.add_argument("--slot", type=float, default=1.0, metavar="S", help="duration of a slot; by default 1 s")
    parser.add_argument("--mean-db", type=float, metavar="DB", help="mean gain; by default the level of the logs stays")
    parser.add_argument("--harvest", type=float, metavar="J", help="per slot; by default the mean of params.yaml")
    parser.add_argument(
        "--bandwidth", type=float, default=20e6, metavar="HZ", help="of the link with that throughput; by default 20e6"
    )


@command("convert", OWN, _convert, as_json)
def convert(options: argparse.Namespace) -> int:
    """Convert measured logs to a trace file that a game plays in the place of its generated channel.

    kpi: CSV files of 5G drive tests with a time (seconds or date) and SINR in dB; without SINR, RSRP in dBm above the
    thermal noise of a subcarrier. throughput: rows of seconds and Mbit/s, by the inverse of Shannon's formula. The gain
    is the ratio of signal to noise at 1 W (D44); --mean-db moves it to the level of a game, such as 9 for the paper's.

    mecpaper convert data/traces/kpi_0.csv data/traces/kpi_1.csv --from kpi --mean-db 9 --out drive.csv
    mecpaper convert data/traces/throughput.txt --from throughput --bandwidth 20e6 --out link.csv
    """
    from mecpaper.env import logs
    from mecpaper.store.files import write_table

    for name, low, high in (("slot", 1e-6, 1e9), ("bandwidth", 1.0, 1e15)):
        if not low <= getattr(options, name) <= high:
            raise ConfigError(f"--{name} = {getattr(options, name)}: from {low:g} to {high:g}")
    if options.out.resolve() in [log.resolve() for log in options.logs]:
        raise ConfigError(f"--out = {str(options.out)!r}: another file than the logs")
    game = load(find_root() / "params.yaml").game
    mean = game.harvest_fraction * float(np.mean(game.per_device(game.battery_capacity)))
    harvest = mean if options.harvest is None else options.harvest
    if not HARVEST_J[0] <= harvest <= HARVEST_J[1]:
        raise ConfigError(f"--harvest = {harvest}: from {HARVEST_J[0]:g} to {HARVEST_J[1]:g} J")
    table = logs.convert(options.logs, options.kind, harvest, options.slot, options.mean_db, options.bandwidth)
    write_table(options.out, table)
    # The file must be one that a game takes.
    traces = game.changed(traces=str(options.out), slots=1).traces
    assert traces is not None
    slots, devices = traces.harvest.shape
    about = {"file": str(options.out), "devices": devices, "slots": slots}
    gains = {"minimum": traces.gain_db.min(), "mean": traces.gain_db.mean(), "maximum": traces.gain_db.max()}
    if options.json:
        print_json(about | {f"gain_db_{name}": float(value) for name, value in gains.items()})
        return 0
    span = ", ".join(f"{name} {value:.1f}" for name, value in gains.items())
    print(f"{options.out}: {devices} devices, {slots} slots; gain in dB: {span}")
    print(f"Next: mecpaper eval cpo_maddpg random --trace {options.out}")
    return 0
