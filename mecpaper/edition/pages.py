"""Collect the content of the site's pages and fill the templates of docs/templates/ with it."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jinja2
from ruamel.yaml import YAML

from mecpaper import claims
from mecpaper.config.registry import ALGORITHMS
from mecpaper.config.tables import read_table
from mecpaper.edition import code, text
from mecpaper.edition.notebooks import TITLES, Notebook, Work
from mecpaper.report import verdicts

STATED = {
    42: r"L_{actor} = -E_s\bigl[Q(s, \pi(s))\bigr]",
    43: r"\nabla_\theta L_{actor} = -E_s\bigl[\nabla_a Q(s, a)|_{a=\pi(s)}\, \nabla_\theta \pi(s)\bigr]",
}
"""LaTeX of the equations that no notebook prints."""


def citation(root: Path) -> str:
    """Format CITATION.cff with the version of the package and the commit, if there is one."""
    entry = YAML(typ="safe").load(root / "CITATION.cff")
    command = ["git", "-C", str(root), "show", "--no-patch", "--format=, %cs, commit %h"]
    commit = subprocess.run(command, capture_output=True, text=True).stdout.strip() if shutil.which("git") else ""
    return f"{entry['authors'][0]['name']}, {entry['title']}, version {entry['version']}{commit}"


class Edition:
    """The content of the pages; figures and tables that do not exist yet are left out.

    Args:
        root: the project's folder.
    """

    verdict_names = claims.VERDICTS
    algorithms = ALGORITHMS

    def __init__(self, root: Path) -> None:
        self.root, paper, runs = root, root / "data" / "paper", root / "data" / "runs"
        self.claims = [row for row in text.read(paper / "claims.csv") if row["id"].isdigit()]
        self.equations, self.notation, self.deviations = (
            text.read(paper / f"{name}.csv") for name in ("equations", "notation", "deviations")
        )
        self.verdicts = {row["id"]: row for row in text.read(runs / "verdicts.csv")}
        rows = text.read(runs / "statements.csv")
        self.statements = {number: [row for row in rows if row["claim"] == number] for number in self.verdicts}
        self.reading_effects = text.read(runs / "reading_effects.csv")
        self.measured_effects = {row["id"]: row["effect"] for row in text.read(runs / "measured_effects.csv")}
        self.meanings = {row["equation"]: row for row in text.read(root / "docs" / "meanings.csv")}
        words = text.read(root / "docs" / "alternatives.csv")
        self.alternatives = {(row["notebook"], row["heading"]): row["text"] for row in words}
        books = [Notebook(path, self.alternatives) for path in sorted((root / "notebooks").glob("*.ipynb"))]
        self.notebooks = {book.stem: book for book in books}
        made = {work.name: work for book in books for work in book.works() if work.name != "claims"}
        names = [*sorted(made.keys() - TITLES.keys()), *(name for name in TITLES if name in made)]
        made = {name: made[name] for name in names}
        self.files = {path.name: path for path in sorted((root / "figures").rglob("*.*"))}
        self.figures = {name: work for name, work in made.items() if not work.is_table and f"{name}.png" in self.files}
        self.tables = {name: work for name, work in made.items() if work.is_table and f"{name}.csv" in self.files}
        self.missing = [work for name, work in made.items() if name not in self.figures | self.tables]

        self.templates = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self.templates.loader = jinja2.FileSystemLoader(root / "docs" / "templates")
        self.templates.filters |= vars(text) | vars(code) | {"linked": self.linked, "place": self.place}
        self.templates.globals["edition"] = self

    def render(self, template: str, **values: object) -> str:
        """Fill a template of docs/templates/."""
        return self.templates.get_template(f"{template}.md").render(values)

    def linked(self, markdown: str) -> str:
        """Link the equations and deviations that a notebook's prose mentions."""
        return text.cross_reference(markdown, {row["id"] for row in self.deviations})

    def place(self, words: str) -> str:
        """Link the figures, tables and equations that a place in the paper names, such as "Fig 4"."""

        def linked(found: re.Match[str]) -> str:
            label = {"Fig": "work-fig{:0>2}", "Table": "work-table{}", "Eq": "eq-{}"}[found[1]].format(found[2])
            known = found[1] == "Eq" or label.removeprefix("work-") in self.figures | self.tables
            return f"[{found[0]}](#{label})" if known else found[0]

        return re.sub(r"\b(Fig|Table|Eq) (\d+)\b", linked, text.plain(words))

    def place_of(self, work: Work, ending: str) -> str:
        """Return the path of a figure's or table's file, relative to the project's folder."""
        return self.files[f"{work.name}.{ending}"].relative_to(self.root).as_posix()

    def about(self, work: Work) -> list[dict[str, str]]:
        """List the claims that the paper bases on a figure or table."""
        word, _, number = work.title.replace("Figure", "Fig").partition(" ")
        return [row for row in self.claims if number in map(str, text.numbers(row["place"], word))]

    def formula(self, row: dict[str, str]) -> tuple[str, Notebook | None, str]:
        """Find the LaTeX of an equation, the notebook that prints it, and the heading above it."""
        number, notebook = int(row["equation"]), self.notebooks.get(row["notebook"].removesuffix(".ipynb"))
        found = notebook.equation(number) if notebook else None
        latex, heading = found or (STATED.get(number, ""), notebook.title if notebook else "")
        return latex, notebook, heading

    def summary(self) -> list[str]:
        """Read the first paragraph and the table of the summary of results."""
        path = self.root / "figures" / "summary.md"
        return path.read_text(encoding="utf-8").split("\n\n")[:2] if path.exists() else []

    def symbols(self, row: dict[str, str]) -> list[dict[str, str]]:
        """List the symbols of an equation; docs/meanings.csv names more where letters are shared, or fewer (-)."""
        latex, number, shown = self.formula(row)[0], row["equation"], []
        given = text.several(self.meanings[number]["symbols"])
        for entry in self.notation:
            found = entry["first_equation"] == number or text.occurs(entry["symbol"], latex, int(number))
            shown += [entry] if entry["name"] in given or (found and f"-{entry['name']}" not in given) else []
        return shown

    def found(self) -> str:
        """Read what was found from the README."""
        readme = (self.root / "README.md").read_text(encoding="utf-8")
        return self.linked(readme.partition("## What we found\n")[2].partition("\n## ")[0])

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the picture of each claim's statements."""
        paths = [self.root / "data" / "runs" / f"{name}.csv" for name in ("statements", "verdicts")]
        if all(path.exists() for path in paths):
            statements, decided = map(read_table, paths)
            for claim, part in statements.groupby("claim"):
                yield f"claims/claim{claim:02d}.svg", verdicts.picture(part, decided)

    def rooms(self) -> dict[str, list[str]]:
        """List the modules of each room of the package."""
        found: dict[str, list[str]] = {}
        for path in sorted((self.root / "mecpaper").rglob("*/*.py")):
            parts = path.relative_to(self.root).with_suffix("").parts
            found.setdefault(parts[1], []).append(".".join(parts).removesuffix(".__init__"))
        return found

    def purpose(self, room: str) -> str:
        """Read the first paragraph of what a room of the package says of itself."""
        path = self.root / "mecpaper" / room / "__init__.py"
        return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]

    def pages(self) -> Iterator[tuple[str, str]]:
        """Yield name and text of each page written in Markdown."""
        for name in ("index", "notation", "deviations"):
            yield f"{name}.md", self.render(name)
        for name in ("claims", "figures", "tables", "equations", "notebooks", "api"):
            yield f"{name}/index.md", self.render(name)
        for work in (*self.figures.values(), *self.tables.values()):
            yield f"{'tables' if work.is_table else 'figures'}/{work.name}.md", self.render("work", work=work)
        for claim in self.claims:
            yield f"claims/claim{claim['id']:0>2}.md", self.render("claim", claim=claim)
        for row in self.equations:
            yield f"equations/eq{row['equation']:0>2}.md", self.render("equation", row=row)
        for room, modules in self.rooms().items():
            yield f"api/{room}.md", self.render("room", room=room, modules=modules)
