"""Every relative link in the documents leads to a file, and every anchor to a heading."""

import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHECKLISTS.md", "CHANGELOG.md", "docs/own_problem.md")


def prose(text):
    """Markdown without its fenced code."""
    return re.sub(r"(?ms)^```.*?^```", "", text)


def links(text):
    """Targets of links and pictures."""
    return re.findall(r"\]\(([^()\s]+)\)", prose(text))


@cache
def anchors(path):
    """Anchors of the headings of a Markdown file, as GitHub makes them, or of a notebook, as JupyterLab does."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        return {heading.strip().replace(" ", "-") for heading in re.findall(r"(?m)^#+ (.*)$", text)}
    headings = re.findall(r"(?m)^#+ (.*)$", prose(text))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def problem(link, start):
    """What is wrong with a relative link in a file, or None."""
    name, _, anchor = link.partition("#")
    target = (start.parent / unquote(name)).resolve() if name else start
    if not target.is_relative_to(ROOT) or not target.exists():
        return f"{link}: no such file"
    if anchor and unquote(anchor) not in anchors(target):
        return f"{link}: no such heading"
    return None


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_relative_link_leads_somewhere(name):
    path = ROOT / name
    found = [link for link in links(path.read_text(encoding="utf-8")) if not re.match(r"(https?|mailto):", link)]
    assert [problem(link, path) for link in found if problem(link, path)] == []


def test_the_check_sees_links_and_anchors():
    assert links("[a](b.md) ![c](d.png#e)\n```\n[no](code)\n```\n") == ["b.md", "d.png#e"]
    assert problem("README.md#two-commands", ROOT / "CHANGELOG.md") is None
    assert problem("README.md#nothing", ROOT / "CHANGELOG.md") and problem("nothing.md", ROOT / "CHANGELOG.md")
    assert len(links((ROOT / "CHECKLISTS.md").read_text(encoding="utf-8"))) > 40


def test_what_the_checklists_claim_has_its_evidence():
    rows = re.findall(
        r"(?m)^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", (ROOT / "CHECKLISTS.md").read_text(encoding="utf-8")
    )
    answers = [row for row in rows if row[1] not in ("answer", "---")]
    assert len(answers) > 30
    assert {answer for _, answer, _ in answers} <= {"yes", "no", "in part", "n/a"}
    # What is claimed must be shown.
    assert [item for item, answer, evidence in answers if answer in ("yes", "in part") and "](" not in evidence] == []
