"""The main comparison from scratch in minutes: six algorithms at the default setting, Figures 4 to 6, the verdicts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML
from tqdm import tqdm

from mecpaper.config import load, named
from mecpaper.config.tables import read_table
from mecpaper.pipeline.rebuild import UNFINISHED, claimed, prepare
from mecpaper.training.experiments import train

SCALE, SHOWN = "demo", "20_overall_comparison"

STEPS: dict[str, tuple[list[str], int]] = {
    "planner": (["yardsticks"], 12),
    "final measures": (["collect"], 2),
    "verdicts": (["decide"], 3),
    "Figures 4 to 6": (["notebook", f"notebooks/{SHOWN}.ipynb"], 5),
}
"""Step after the training -> command and its share of the time, in percent."""

TRAINING = 100 - sum(share for _, share in STEPS.values())


class DemoError(RuntimeError):
    """A step of the demo that failed."""


def demo(root: Path, folder: Path) -> None:
    """Train and compare all algorithms in a folder, with one progress bar; an interrupted demo resumes.

    Raises:
        ConfigError: params.yaml is invalid, or the folder holds something else or is in use.
        DemoError: a step failed; the message is the step's own.
        Exception: what `mecpaper.training.experiments.train` raises.
    """
    import papermill  # noqa: F401  (what the last steps need is missed before the training, not after it)

    with claimed(root, folder):
        prepare(root, folder, SCALE)
        _default_only(folder / "params.yaml")
        form = "{desc:38} {percentage:3.0f} % |{bar}| {elapsed} elapsed, {remaining} left"
        with tqdm(total=100.0, bar_format=form, file=sys.stderr) as bar:

            def report(done: int, total: int, label: str) -> None:
                bar.set_description_str(f"training: {label}", refresh=False)
                bar.n = TRAINING * done / total
                bar.refresh()

            train(named(load(folder / "params.yaml")), folder, progress=report)
            for name, (command, share) in STEPS.items():
                bar.set_description_str(name)
                _run(folder, command)
                bar.update(share)
            bar.set_description_str("done")
        (folder / UNFINISHED).unlink()


def _default_only(params: Path) -> None:
    """Leave of the experiments in params.yaml each algorithm's default."""
    yaml = YAML(typ="safe", pure=True)
    data = yaml.load(params.read_text(encoding="utf-8"))
    data["experiments"] = {algorithm: ["default"] for algorithm in data["experiments"]}
    with open(params, "w", encoding="utf-8") as file:
        yaml.dump(data, file)


def _run(folder: Path, command: list[str]) -> None:
    """Run a command of mecpaper in the folder, in silence."""
    environment = os.environ | {"MECPAPER_ROOT": str(folder), "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "mecpaper", *command], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise DemoError(f"{' '.join(command)}: {lines[-1]}")


def outcome(folder: Path) -> list[str]:
    """Say in three lines what came out in the demo's folder, where the pictures are, and what to do next."""
    summary = read_table(folder / "data" / "runs" / "summary.csv")
    verdicts = read_table(folder / "data" / "runs" / "verdicts.csv")
    rewards = summary.groupby("algorithm")["reward"].mean().sort_values(ascending=False)
    ours = summary[summary["algorithm"] == "cpo_maddpg"]
    decided = verdicts[~verdicts["verdict"].isin(["open", "untestable here"])]
    ranked = ", ".join(f"{name} {value:.2f}" for name, value in rewards.items())
    return [
        f"{summary['seed'].nunique()} seeds, mean reward: {ranked}; CPO-MADDPG spends {ours['energy'].mean():.2f} of "
        f"{ours['cost_limit'].mean():.2f} J; {len(decided)} of {len(verdicts)} claims decided by so few runs.",
        f"Pictures: {folder / 'figures' / SHOWN} (fig04, fig05, fig06; overall.csv is the table).",
        "Next: make lab (notebooks, explorer), make site (everything as pages), README.md (the committed results).",
    ]
