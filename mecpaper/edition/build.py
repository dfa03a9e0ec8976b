"""Write the sources of the site and run Sphinx on them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from mecpaper.edition.pages import Edition

SOURCE, TREES, SITE = "build/site-source", "build/site-doctrees", "build/site"


def write_sources(root: Path, folder: Path) -> bool:
    """Write all sources into a folder; keep unchanged files as they are, and remove obsolete ones.

    Returns:
        Whether a file was removed, in which case its page must be removed too.
    """
    edition = Edition(root)
    made = {name: page.encode() for name, page in edition.pages()}
    for notebook in edition.notebooks.values():
        made[f"notebooks/{notebook.path.name}"] = json.dumps(notebook.prepared(edition.linked)).encode()
    made |= {path.relative_to(root).as_posix(): path.read_bytes() for path in (root / "figures").rglob("*.png")}
    made |= dict(edition.pictures())
    copied = ("conf.py", "_static/style.css", "_static/site.js")
    made |= {name: (root / "docs" / Path(name).name).read_bytes() for name in copied}
    for name, content in made.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    stale = [path for path in folder.rglob("*.*") if path.relative_to(folder).as_posix() not in made]
    for path in stale:
        path.unlink()
    return bool(stale)


def build(root: Path) -> int:
    """Write the sources, run Sphinx with warnings as errors, and say where the site is; return the exit status."""
    started, folder, target, trees = time.monotonic(), root / SOURCE, root / SITE, root / TREES
    if write_sources(root, folder):
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(trees, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--quiet", "--jobs", "auto", "--fail-on-warning"]
    command.append("--write-all")  # the entries of the search for pages that are not written would be lost
    status = subprocess.run([*command, "--doctree-dir", str(trees), str(folder), str(target)], cwd=root).returncode
    if status == 0:
        pages = sum(1 for _ in target.rglob("*.html"))
        print(f"{SITE}/index.html: {pages} pages, {time.monotonic() - started:.0f} s")
    return status
