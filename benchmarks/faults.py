"""Recovery of the whole pipeline from SIGKILL at random moments.

The pipeline runs at scale smoke in a separate folder and is killed 30 times after a random delay: the whole process
tree, or one random process of it (dvc, papermill or a notebook's kernel). After the last kill it runs to the end. All
outputs, except measured seconds, must equal those of an undisturbed run byte for byte. Needs psutil.
"""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import Options, figure
from mecpaper.config import Config
from mecpaper.store.results import CHECKSUMS

KILLS = 30
WHILE = (4.0, 40.0)
"""Minimum and maximum time before a kill, in s."""

MADE = ("notebooks", "figures", "data")


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Kills by what was killed, files compared and those that differ, the time of either run."""
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as scratch:
        calm, disturbed = Path(scratch, "calm"), Path(scratch, "disturbed")
        started = time.monotonic()
        whole_status = _run(options.root, calm).wait()
        whole = time.monotonic() - started
        kills: Counter[str] = Counter()
        while sum(kills.values()) < KILLS:
            process = _run(options.root, disturbed)
            try:
                process.wait(chance.uniform(*WHILE))
                # It was finished before its time: begin anew, so that each kill meets a run at work.
                (disturbed / ".unfinished").unlink(missing_ok=True)
            except subprocess.TimeoutExpired:
                kills[_kill(process, disturbed, chance)] += 1
        started = time.monotonic()
        status = _run(options.root, disturbed).wait()
        rest = time.monotonic() - started
        wanted, found = _tree(calm), _tree(disturbed)
    differing = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    return {
        "figures": [figure("an undisturbed run", "s", [whole]), figure("the run after the last kill", "s", [rest])],
        "ratios": [],
        "values": [
            *([f"killed: {name}", str(count)] for name, count in sorted(kills.items())),
            ["exit status of the undisturbed run", str(whole_status)],
            ["exit status of the run after the last kill", str(status)],
            ["files compared", str(len(wanted))],
            ["files that differ", ", ".join(differing) or "none"],
        ],
    }


def _run(root: Path, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mecpaper", "rebuild", "smoke", str(folder)]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _kill(process: subprocess.Popen[bytes], folder: Path, chance: random.Random) -> str:
    """Kill a run in a folder, or first one of its processes and later the rest; return what was killed first."""
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    everything = chance.random() < 0.5
    named = "everything"
    if not everything:
        victim = chance.choice(tree)
        named = _name(victim)
        _sigkill(victim)
        psutil.wait_procs(tree, timeout=chance.uniform(0.0, 5.0))
    for one in tree:
        _sigkill(one)
    psutil.wait_procs(tree, timeout=10.0)
    process.wait()
    # What was started between the listing and the kill belongs to the run too.
    while left := [one for one in psutil.process_iter() if _works_in(one, folder)]:
        for one in left:
            _sigkill(one)
        psutil.wait_procs(left, timeout=10.0)
    return named


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder)
    except psutil.Error:
        return False


def _sigkill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def _name(process: psutil.Process) -> str:
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return "a process that had just ended"
    for pattern, name in (
        ("-m mecpaper rebuild", "the command itself"),
        ("ipykernel", "a notebook's kernel"),
        ("-m mecpaper notebook", "papermill"),
        ("-m mecpaper", "another stage"),
        ("dvc", "dvc"),
    ):
        if re.search(pattern, line):
            return name
    return "another process"


def _tree(folder: Path) -> dict[str, str]:
    """Digest of every file that was made; what holds measured seconds is read without them."""
    found = {}
    files = [path for name in MADE for path in (folder / name).rglob("*") if path.is_file()]
    for path in sorted(files):
        content = path.read_bytes()
        if path.name == "summary.csv":
            content = re.sub(rb",[^,\n]*$", b"", content, flags=re.MULTILINE)
        elif path.name == CHECKSUMS:
            content = re.sub(rb"\w+(?=  summary\.csv)", b"", content)
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found
