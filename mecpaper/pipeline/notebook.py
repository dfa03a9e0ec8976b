"""Execute notebooks in place with papermill, as pipeline stages; the same results give the same bytes.

Work inside the kernel reports its progress through a small file, which is shown here as a bar.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from mecpaper.store.files import write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode

PROGRESS_VARIABLE = "MECPAPER_PROGRESS"
"""Environment variable with the path of the progress file; without it the bar is drawn where the code runs."""

PAUSE = 5.0
"""Seconds between two pictures of a training under way."""

VIEW = "application/vnd.jupyter.widget-view+json"
"""Type of an output that shows a widget of the running kernel."""

_bars: dict[int, tqdm] = {}


def report(done: int, total: int, label: str) -> None:
    """Report the progress of long work, to the terminal that runs the notebook or in the notebook itself.

    Args:
        done, total: in any unit.
        label: name of the work.
    """
    path = os.environ.get(PROGRESS_VARIABLE)
    if path:
        write_atomically(Path(path), f"{done}\n{total}\n{label}")
        return
    if total not in _bars:
        _bars[total] = tqdm(total=total, unit="episode")
    _bars[total].set_description(label, refresh=False)
    _bars[total].update(done - _bars[total].n)
    if done >= total:
        _bars.pop(total).close()


def watch(draw: Callable[[], Any]) -> Callable[[int, int, str], None]:
    """Make a `report` that also draws a picture in an open notebook, at once and then every `PAUSE` seconds.

    Args:
        draw: makes what is displayed; None leaves the picture as it is.
    """
    shown: Any = None
    due = 0.0

    def progress(done: int, total: int, label: str) -> None:
        nonlocal shown, due
        report(done, total, label)
        if PROGRESS_VARIABLE in os.environ or time.monotonic() < due:
            return
        picture, due = draw(), time.monotonic() + PAUSE
        if picture is not None and shown is not None:
            shown.update(picture)
        elif picture is not None:
            from IPython.display import display

            shown = display(picture, display_id=True)

    return progress


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Remove from an executed notebook, in place, everything that differs between executions with the same results.

    Cell ids and widget model ids are renumbered; times, versions and papermill's metadata are dropped; consecutive
    pieces of one output stream are joined; of controls that come with a picture, the picture is kept, which needs no
    kernel. Execution counts stay.
    """
    # Not above, since kernels import this module and nbformat takes as long to import as torch.
    import nbformat

    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    models: dict[str, str] = {}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type != "code":
            continue
        joined: list[NotebookNode] = []
        for output in cell.outputs:
            if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
                joined[-1].text += output.text
                continue
            data = output.get("data", {})
            view = data.get(VIEW)
            if view and "image/png" in data:
                del data[VIEW]
            elif view:
                view["model_id"] = models.setdefault(view["model_id"], f"widget-{len(models)}")
            joined.append(output)
        cell.outputs = joined
    return notebook


class NotebookError(RuntimeError):
    """A notebook that cannot be read, or whose kernel died; the message is one line."""


def run(path: Path) -> None:
    """Execute a notebook in its folder and replace it by the normalised result.

    Args:
        path: the notebook; unchanged if a cell fails.
    Raises:
        NotebookError: the file is no notebook, or the kernel died.
        papermill.PapermillExecutionError: a cell failed.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError

    _check(path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        executed, progress = folder / path.name, folder / "progress"
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(progress, stop), daemon=True)
        watcher.start()
        try:
            with _own_kernel(folder, {PROGRESS_VARIABLE: str(progress)}):
                papermill.execute_notebook(
                    str(path), str(executed), cwd=str(path.parent), progress_bar=False, kernel_name="python3"
                )
        except DeadKernelError:
            code = [cell for cell in nbformat.read(executed, as_version=4).cells if cell.cell_type == "code"]
            at = sum(cell.metadata.papermill.get("start_time") is not None for cell in code)
            raise NotebookError(
                f"{path}, cell {at}: the kernel was killed, as the system does when memory runs out; "
                "the same command starts this notebook again"
            ) from None
        finally:
            stop.set()
            watcher.join()
        notebook = normalise(nbformat.read(executed, as_version=4))
    write_atomically(path, nbformat.writes(notebook) + "\n")


def _check(path: Path) -> None:
    """Raise NotebookError unless the file is a notebook."""
    import nbformat

    try:
        nbformat.validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise NotebookError(
            f"{path}: cannot be read ({error.strerror}); restore it from the project's source"
        ) from None
    except (ValueError, AttributeError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise NotebookError(f"{path}: not a notebook ({reason}); resolve a conflict in it, or restore it") from None


@contextmanager
def _own_kernel(folder: Path, variables: dict[str, str]) -> Iterator[None]:
    """Make the kernel "python3" this interpreter, free of the user's kernels, profiles, start-up files and styles."""
    (folder / "matplotlibrc").touch()
    own = {"IPYTHONDIR": str(folder / "ipython"), "PYTHONSTARTUP": "", "MATPLOTLIBRC": str(folder)}
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": command, "display_name": "Python 3", "language": "python", "env": own | variables}
    write_atomically(folder / "kernels" / "python3" / "kernel.json", json.dumps(kernel))
    before = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = str(folder)
    try:
        yield
    finally:
        del os.environ["JUPYTER_PATH"]
        if before is not None:
            os.environ["JUPYTER_PATH"] = before


def _watch(path: Path, stop: threading.Event) -> None:
    """Draw the progress file as a bar with the remaining time, until `stop` is set."""
    bar: tqdm | None = None
    while not stop.wait(0.5):
        try:
            done, total, label = path.read_text(encoding="utf-8").split("\n")
        except (FileNotFoundError, ValueError):
            continue
        if bar is None or int(total) != bar.total:
            if bar is not None:
                bar.close()
            bar = tqdm(total=int(total), unit="ep", initial=int(done), file=sys.stderr, mininterval=1.0)
        bar.set_description(label, refresh=False)
        bar.update(int(done) - bar.n)
    if bar is not None:
        bar.close()


def run_all(paths: Sequence[Path]) -> int:
    """Execute notebooks in order and return 0; at the first failure, print one line and return 1."""
    import papermill

    for path in paths:
        try:
            run(path)
        except NotebookError as error:
            print(error, file=sys.stderr)
            return 1
        except papermill.PapermillExecutionError as error:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", error.evalue)
            print(f"{path}, cell {error.exec_count}: {error.ename}: {plain}", file=sys.stderr)
            return 1
    return 0
