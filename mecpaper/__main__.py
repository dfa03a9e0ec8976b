"""The command line: `python -m mecpaper`. It may import every room; no room imports it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

from mecpaper.config import ConfigError, find_root, load, named

Add = Callable[[argparse.ArgumentParser], None]
Act = Callable[[argparse.Namespace], int]

COMMANDS: dict[str, tuple[str, Act, Add]] = {}
"""Name -> help text, function that returns the exit status, and function that adds the arguments."""


def command(name: str, add: Add = lambda parser: None) -> Callable[[Act], Act]:
    """Register a command; the first line of the function's docstring is its help."""

    def register(act: Act) -> Act:
        COMMANDS[name] = ((act.__doc__ or "").splitlines()[0], act, add)
        return act

    return register


def _as_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


@command("status", _as_json)
def status(options: argparse.Namespace) -> int:
    """List every experiment as stored, missing, of another configuration or version, damaged, or left over."""
    from mecpaper.store import results

    root = find_root()
    rows = results.status(load(root / "params.yaml"), root)
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(f"{row['state']:20} {row['experiment']}{'  ' + row['detail'] if row['detail'] else ''}")
    counts = {
        state: sum(row["state"] == state for row in rows) for state in dict.fromkeys(row["state"] for row in rows)
    }
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    return 0


def _sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sample", type=int, default=12, help="experiments to recompute, algorithms alternating")
    parser.add_argument("--updates", type=int, default=1, help="updates to recompute, up to a point of the curve")


@command("restamp", _sample)
def restamp(options: argparse.Namespace) -> int:
    """Mark results of an earlier version as current, if a recomputed sample agrees with them."""
    from mecpaper.training.restamp import restamp

    if options.sample < 1:
        raise ConfigError(f"--sample = {options.sample}: at least 1")
    root = find_root()
    found = restamp(named(load(root / "params.yaml")), root, options.sample, options.updates)
    for line in found.differences:
        print(line, file=sys.stderr)
    print(f"recomputed: {', '.join(found.sample) or 'none'}; stamped: {len(found.stamped)}")
    return 1 if found.differences else 0


@command("train")
def train(options: argparse.Namespace) -> int:
    """Train the experiments of params.yaml that are not stored, here or on a cluster (DASK_SCHEDULER_ADDRESS)."""
    from tqdm import tqdm

    from mecpaper.training import cluster

    root = find_root()
    experiments = named(load(root / "params.yaml"))
    with tqdm(unit="episode") as bar:

        def report(done: int, total: int, label: str) -> None:
            bar.total, bar.n = total, done
            bar.set_description(label)

        trained = cluster.train(experiments, root, report)
    print(f"{len(trained)} experiments trained into {root / 'data' / 'runs'}")
    return 0


def _notebooks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("notebooks", nargs="*", type=Path, help="files; without any, only check params.yaml")


@command("notebook", _notebooks)
def notebook(options: argparse.Namespace) -> int:
    """Execute notebooks in place and normalise them."""
    from mecpaper.pipeline import notebook

    load(find_root(options.notebooks[0].parent if options.notebooks else None) / "params.yaml")
    return notebook.run_all(options.notebooks)


STEPS = {
    "search": ("Search hyperparameters for every learner: data/runs/tuning.csv.", "training.tuning:search"),
    "collect": ("Gather the final measures of all experiments: data/runs/summary.csv.", "store.results:collect"),
    "decide": ("Decide the claims, also under other readings: tables in data/runs.", "claims.robustness:write_tables"),
    "summary": ("Write the results as one page: figures/summary.md.", "report.page:write_summary"),
    "site": ("Build the site from what is stored: build/site.", "edition.build:build_and_report"),
    "readme": ("Update the results in README.md.", "report.page:refresh_readme"),
}
"""Name -> help text, and a function of the package that takes the project's folder and may return an exit status."""


def _step(text: str, function: str) -> Act:
    def act(options: argparse.Namespace) -> int:
        status = resolve_name(f"mecpaper.{function}")(find_root())
        return status if isinstance(status, int) else 0

    act.__doc__ = text
    return act


for _name, (_text, _function) in STEPS.items():
    command(_name)(_step(_text, _function))


@command("repro")
def repro(options: argparse.Namespace) -> int:
    """Rebuild what has changed: check params.yaml, then run dvc repro with this interpreter."""
    from mecpaper.pipeline.rebuild import dvc

    root = find_root()
    load(root / "params.yaml")
    return dvc(root, "repro")


def _rebuild(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scale", help="name of a scale in params.yaml")
    parser.add_argument("folder", type=Path, help="folder to work in")


@command("rebuild", _rebuild)
def rebuild(options: argparse.Namespace) -> int:
    """Run the whole pipeline from scratch at a scale, in a separate folder."""
    from mecpaper.pipeline.rebuild import rebuild_and_report

    return rebuild_and_report(options.scale, options.folder)


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, nargs="?", default=Path("build/demo"), help="folder to work in")


@command("demo", _folder)
def demo(options: argparse.Namespace) -> int:
    """Compare all algorithms at the default setting from scratch, in minutes: Figures 4 to 6 and the verdicts."""
    from mecpaper.pipeline.demo import demo, outcome

    demo(find_root(), options.folder.resolve())
    print(*outcome(options.folder), sep="\n")
    return 0


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("algorithm", help="such as cpo_maddpg")
    parser.add_argument("scenario", help="such as default")
    parser.add_argument("--device", type=int, help="index of the only device to export, from 0; by default all")
    parser.add_argument("--out", type=Path, help="target folder; by default build/onnx of the project")


@command("export", _export)
def export(options: argparse.Namespace) -> int:
    """Export a stored policy's actors as ONNX files, one per device."""
    from mecpaper.policies.export import export_actors

    root = find_root()
    folder = options.out or root / "build" / "onnx"
    written = export_actors(
        root, load(root / "params.yaml"), options.algorithm, options.scenario, folder, options.device
    )
    print(f"{written} actors written to {folder}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command; report expected failures in one line on standard error."""
    parser = argparse.ArgumentParser(prog="mecpaper", description="An executable edition of CPO-MADDPG.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (text, act, add) in COMMANDS.items():
        made = commands.add_parser(name, help=text, description=text)
        add(made)
        made.set_defaults(act=act)
    options = parser.parse_args(arguments)
    try:
        return int(options.act(options))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (RuntimeError, OSError, ArithmeticError, LookupError, ValueError, subprocess.CalledProcessError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
