"""A headless Chromium and a JupyterLab on localhost for the tests in this folder; without a browser they are skipped.

`make browser` installs what is needed. MECPAPER_CHROMIUM, where set, names the browser to use.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]
"""Of Chromium: it must run as any user, in a container, and ask nothing of the network."""

STARTUP_SECONDS = 90.0
"""Longest wait for a server."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a browser test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Server:
    """A web server of a test: its address, and the query that opens its pages."""

    url: str
    query: str = ""

    def page(self, path: str) -> str:
        """Full address of a page."""
        return f"{self.url}/{path.lstrip('/')}{self.query}"


def start(command: list[str], folder: Path, url: str, log: Path, query: str = "") -> tuple[subprocess.Popen, Server]:
    """Start a server and wait until it answers.

    Args:
        command: program and arguments.
        folder: where it runs.
        url: where it will answer.
        log: file for what it prints.
        query: sent with every page, such as a token.
    """
    environment = os.environ | {"JUPYTER_PLATFORM_DIRS": "1", "OMP_NUM_THREADS": "1"}
    with open(log, "wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, env=environment)
    server, deadline = Server(url, query), time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(server.page(""), timeout=5):
                return process, server
        except urllib.error.HTTPError:
            return process, server
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    stop(process)
    pytest.fail(f"{command[0]} did not answer at {url}:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def stop(process: subprocess.Popen) -> None:
    """End a server that this process started."""
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium under Playwright; skipped, with the reason, where either is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make browser")
    named = os.environ.get("MECPAPER_CHROMIUM")
    program = named or next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    with playwright.sync_playwright() as driver:
        try:
            started = driver.chromium.launch(executable_path=program, args=SWITCHES)
        except playwright.Error as error:
            reason = str(error).splitlines()[0]
            pytest.skip(f"no Chromium to start ({program or 'none found'}): {reason}; make browser installs one")
        yield started
        started.close()


@pytest.fixture
def console_errors() -> list[str]:
    """What `browser_page` has reported so far: errors of the console, uncaught exceptions, failed requests."""
    return []


@pytest.fixture
def browser_page(browser: Any, console_errors: list[str]) -> Iterator[Any]:
    """An empty page, 1500 x 1100 pixels, in a fresh profile; its errors go to `console_errors`."""
    context = browser.new_context(viewport={"width": 1500, "height": 1100})
    page = context.new_page()

    def console(message: Any) -> None:
        url = message.location.get("url", "")
        # A browser asks for an icon by itself, also where no page names one.
        if message.type == "error" and not url.endswith("/favicon.ico"):
            console_errors.append(f"{message.text} ({url})")

    page.on("console", console)
    page.on("pageerror", lambda error: console_errors.append(f"uncaught: {error}"))
    yield page
    context.close()


@pytest.fixture
def findings(browser_page: Any) -> Callable[[], list[str]]:
    """What axe-core finds on the present page: rule, and the first places; skipped where it is not installed."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core: make browser").Axe()

    def found() -> list[str]:
        violations = axe.run(browser_page).response["violations"]
        return [f"{rule['id']}: {[node['target'] for node in rule['nodes'][:3]]}" for rule in violations]

    return found


@pytest.fixture(scope="session")
def screenshots(root: Path) -> Path:
    """Folder where screenshots are kept: build/screenshots, or what MECPAPER_SCREENSHOTS names."""
    folder = Path(os.environ.get("MECPAPER_SCREENSHOTS", root / "build" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def checkout(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git holds, or would add, as a fresh clone has it; servers may write there."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=root, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts servers that end with the module: `serve("jupyterlab", folder)`, "voila" or "files"."""
    processes, logs = [], tmp_path_factory.mktemp("logs")

    def begin(kind: str, folder: Path, *arguments: str) -> Server:
        port, token, module = free_port(), secrets.token_hex(16), [sys.executable, "-m"]
        jupyter = [
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
        ]
        jupyter += [f"--IdentityProvider.token={token}", "--ServerApp.allow_root=True", "--no-browser"]
        commands = {
            "jupyterlab": [*module, "jupyterlab", *jupyter, f"--ServerApp.root_dir={folder}"],
            "voila": [*module, "voila", "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"],
            "files": [*module, "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)],
        }
        query = f"?token={token}" if kind == "jupyterlab" else ""
        command = [*commands[kind], *arguments]
        process, server = start(command, folder, f"http://127.0.0.1:{port}", logs / f"{kind}-{port}.log", query)
        processes.append(process)
        return server

    yield begin
    for process in processes:
        stop(process)
