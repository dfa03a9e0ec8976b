"""The project itself: state of stored results, stages of the pipeline, notebooks, the whole pipeline elsewhere."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from pkgutil import resolve_name

from mecpaper.commands.parser import PIPELINE, STORED, Act, as_json, command, print_json
from mecpaper.config import ConfigError, find_root, load, named
from mecpaper.store import results


@command("status", STORED, as_json)
def status(options: argparse.Namespace) -> int:
    """List every experiment as stored, missing, of another configuration or version, damaged, or left over."""
    root = find_root()
    rows = results.status(load(root / "params.yaml"), root)
    if options.json:
        print_json(rows)
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


@command("restamp", STORED, _sample)
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


def _yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="remove them; otherwise they are only listed")


@command("clean", STORED, _yes, as_json)
def clean(options: argparse.Namespace) -> int:
    """List what is left over in data/runs, experiments that params.yaml does not name, and remove it with --yes."""
    root = find_root()
    rows = results.status(load(root / "params.yaml"), root)
    left = [row["experiment"] for row in rows if row["state"] == "left over"]
    if options.yes:
        for name in left:
            shutil.rmtree(root / "data" / "runs" / name)
    if options.json:
        print_json({"left over": left, "removed": options.yes})
        return 0
    print(*left, f"{len(left)} left over{', removed' if options.yes else ''}", sep="\n")
    if left and not options.yes:
        print("mecpaper clean --yes removes them")
    return 0


STEPS = {
    "yardsticks": (
        "Search the planner's best policies and measure those without learning: tables in data/runs.",
        "policies.planner:write_yardsticks",
    ),
    "search": ("Search hyperparameters for every learner: data/runs/tuning.csv.", "training.tuning:search"),
    "collect": ("Gather the final measures of all experiments: data/runs/summary.csv.", "store.results:collect"),
    "decide": ("Decide the claims, also under other readings: tables in data/runs.", "claims.robustness:write_tables"),
    "summary": ("Write the results as one page: figures/summary.md.", "report.page:write_summary"),
    "site": ("Build the site from what is stored: build/site.", "edition.build:build"),
    "readme": ("Update the results in README.md.", "report.page:refresh_readme"),
}
"""Name -> help text, and a function of the package that takes the project's folder and may return an exit status."""


def _step(text: str, function: str) -> Act:
    def act(options: argparse.Namespace) -> int:
        status = resolve_name(f"mecpaper.{function}")(find_root())
        return status if isinstance(status, int) else 0

    act.__doc__ = text
    return act


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, nargs="?", default=Path("build/demo"), help="folder to work in")


@command("demo", PIPELINE, _folder)
def demo(options: argparse.Namespace) -> int:
    """Compare all algorithms at the default setting from scratch, in minutes: Figures 4 to 6 and the verdicts."""
    from mecpaper.pipeline.demo import demo, outcome

    demo(find_root(), options.folder.resolve())
    print(*outcome(options.folder), sep="\n")
    return 0


@command("repro", PIPELINE)
def repro(options: argparse.Namespace) -> int:
    """Rebuild what has changed: check params.yaml, then run dvc repro with this interpreter."""
    from mecpaper.pipeline.rebuild import dvc

    root = find_root()
    named(load(root / "params.yaml"))
    return dvc(root, "repro")


def _rebuild(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scale", help="name of a scale in params.yaml")
    parser.add_argument("folder", type=Path, help="folder to work in")


@command("rebuild", PIPELINE, _rebuild)
def rebuild(options: argparse.Namespace) -> int:
    """Run the whole pipeline from scratch at a scale, in a separate folder."""
    from mecpaper.pipeline.rebuild import rebuild_and_report

    return rebuild_and_report(options.scale, options.folder)


def _notebooks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("notebooks", nargs="*", type=Path, help="files; without any, only check params.yaml")


@command("notebook", PIPELINE, _notebooks)
def notebook(options: argparse.Namespace) -> int:
    """Execute notebooks in place and normalise them."""
    from mecpaper.pipeline import notebook

    load(find_root(options.notebooks[0].parent if options.notebooks else None) / "params.yaml")
    return notebook.run_all(options.notebooks)


for _name, (_text, _function) in STEPS.items():
    command(_name, PIPELINE)(_step(_text, _function))
