"""Run other libraries, each in its own virtual environment under build/rivals, and exchange lines of JSON with them.

Only the standard library is imported: the driver and the scripts in the rivals' environments both use this module.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def environment(root: Path, name: str) -> Path:
    """The Python of a rival's environment, which is made from `<name>.txt` when missing or older than that file."""
    folder, wanted = root / "build" / "rivals" / name, HERE / f"{name}.txt"
    python, ready = folder / "bin" / "python", folder / ".ready"
    if ready.exists() and ready.read_text(encoding="utf-8") == wanted.read_text(encoding="utf-8"):
        return python
    print(f"making {folder.relative_to(root)} from {wanted.name} (some minutes, 1 to 2 GB)", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)]
    subprocess.run(install, check=True)
    ready.write_text(wanted.read_text(encoding="utf-8"), encoding="utf-8")
    return python


class Process:
    """A script in a rival's environment that answers each line of JSON with one.

    What the script writes to the standard error, and what a library prints, goes to build/rivals/<script>.log.

    Args:
        root: the project's folder, in which it runs.
        name: whose environment.
        script: a module of `benchmarks.rivals`.
        threads: of torch.
        arguments: handed on to the script, after the number of threads.
    """

    def __init__(self, root: Path, name: str, script: str, threads: int, *arguments: str) -> None:
        python = environment(root, name)
        self.log = root / "build" / "rivals" / f"{script}.log"
        command = [str(python), "-m", f"benchmarks.rivals.{script}", str(threads), *arguments]
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=root,
                env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            )  # fmt: skip
        self.about = self.read()

    def read(self) -> dict[str, Any]:
        """The next answer."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.log.stem} ended early; see {self.log}")
        return json.loads(line)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.read()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def answering() -> Callable[[dict[str, Any]], None]:
    """For a script: a function that sends an answer. From now on prints of libraries go to the standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(content: dict[str, Any]) -> None:
        channel.write(json.dumps(content) + "\n")
        channel.flush()

    return answer


def serve(answer: Callable[[dict[str, Any]], None], about: dict[str, Any], cases: dict[str, Callable[[], Any]]) -> None:
    """For a script: time what is asked for, `{"case", "calls", "precision"}` -> `{"seconds"}`, until the end.

    Args:
        answer: from `answering`.
        about: sent first, for instance versions.
        cases: name -> one update.
    """
    import torch  # the rival's

    answer(about)
    for line in sys.stdin:
        request = json.loads(line)
        torch.backends.mkldnn.matmul.fp32_precision = request["precision"]
        work = cases[request["case"]]
        started = time.perf_counter()
        for _ in range(request["calls"]):
            work()
        answer({"seconds": time.perf_counter() - started})
