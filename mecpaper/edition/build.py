"""The sources of the site, and the site made of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat

from mecpaper.config import find_root
from mecpaper.edition.pages import Edition

SOURCE, TREES, SITE = "build/site-source", "build/site-doctrees", "build/site"


def write_sources(root: Path, folder: Path) -> bool:
    """Write all sources into a folder; files whose content stays are not touched, what is no longer made goes.

    Returns whether something went: pages made of it may still lie about.
    """
    edition = Edition(root)
    made: dict[str, bytes] = {name: text.encode() for name, text in edition.pages()}
    for notebook in edition.notebooks.values():
        text = nbformat.writes(notebook.prepared(edition.alternatives, edition.linked), 4)
        made[f"notebooks/{notebook.path.name}"] = text.encode()
        made[f"downloads/{notebook.path.name}"] = notebook.path.read_bytes()
    for place, text in edition.code.texts.items():
        made[f"code/{place}"] = text.encode()
    for path in sorted((root / "figures").iterdir()):
        if path.suffix == ".png":
            made[f"figures/{path.name}"] = path.read_bytes()
        if path.suffix != ".md":
            made[f"downloads/{path.name}"] = path.read_bytes()
    made["conf.py"] = (root / "docs" / "conf.py").read_bytes()
    made["_static/style.css"] = (root / "docs" / "style.css").read_bytes()
    for name, content in made.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    files = [path for path in folder.rglob("*") if path.is_file()]
    stale = [path for path in files if path.relative_to(folder).as_posix() not in made]
    for path in stale:
        path.unlink()
    return bool(stale)


def build(root: Path) -> int:
    """Write the sources and have Sphinx make the pages; returns its exit status. A warning is an error."""
    folder, target, trees = root / SOURCE, root / SITE, root / TREES
    if write_sources(root, folder):
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(trees, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--quiet", "--fail-on-warning", "--keep-going"]
    command += ["--doctree-dir", str(trees), str(folder), str(target)]
    return subprocess.run(command, cwd=root).returncode


def main() -> int:
    """Command line."""
    root, started = find_root(), time.monotonic()
    status = build(root)
    if status == 0:
        pages = sum(1 for _ in (root / SITE).rglob("*.html"))
        print(f"{SITE}/index.html: {pages} pages, {time.monotonic() - started:.0f} s")
    return status
