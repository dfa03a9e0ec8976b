"""Every page of the site that is not a notebook or a module, in Markdown."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mecpaper import claims
from mecpaper.edition.books import TITLES, Notebook, Work
from mecpaper.edition.code import Code, module_name
from mecpaper.edition.text import (
    contents,
    cross_reference,
    download,
    link,
    numbers,
    plain,
    registry,
    sentence,
    several,
    slug,
    table,
)

MAIN_FIGURE = "fig04"

STATED = {
    42: r"L_{actor} = -E_s\bigl[Q(s, \pi(s))\bigr]",
    43: r"\nabla_\theta L_{actor} = -E_s\bigl[\nabla_a Q(s, a)|_{a=\pi(s)}\, \nabla_\theta \pi(s)\bigr]",
}
"""Equations that no notebook prints."""

SERIES = {
    "Model and method": range(0, 10),
    "Training": range(10, 20),
    "Figures and tables": range(20, 40),
    "Explorer": range(40, 50),
    "Claims": range(50, 100),
}
"""Part of the series of notebooks -> numbers of its notebooks."""


@dataclass
class Edition:
    """Everything that the pages are made of.

    Args:
        root: the project's folder.
    """

    root: Path

    def __post_init__(self) -> None:
        self.code = Code(self.root)
        self.notebooks = {path.stem: Notebook(path) for path in sorted((self.root / "notebooks").glob("*.ipynb"))}
        self.equations, self.notation, self.claims, self.deviations = (
            registry(self.root, name) for name in ("equations", "notation", "claims", "deviations")
        )
        with open(self.root / "docs" / "alternatives.csv", newline="", encoding="utf-8") as file:
            self.alternatives = {(row["notebook"], row["heading"]): row["text"] for row in csv.DictReader(file)}
        books = self.notebooks.values()
        made = {work.name: work for book in books for work in book.works(self.alternatives)}
        files = self.root / "figures"
        self.figures = {n: w for n, w in sorted(made.items()) if not w.title.startswith("Table") and n not in TITLES}
        self.figures |= {n: made[n] for n in ("verdicts", "robustness") if n in made}
        self.figures = {name: work for name, work in self.figures.items() if (files / f"{name}.png").exists()}
        names = [*(n for n in sorted(made) if n.startswith("table")), *(n for n in ("overall",) if n in made)]
        self.tables = {name: made[name] for name in names if (files / f"{name}.csv").exists()}
        self.missing = [made[n].title for n in sorted(made) if n not in self.figures | self.tables and n != "claims"]
        verdicts = self.root / "data" / "runs" / "verdicts.csv"
        self.verdicts: dict[str, dict[str, str]] = {}
        if verdicts.exists():
            with open(verdicts, newline="", encoding="utf-8") as file:
                self.verdicts = {row["id"]: row for row in csv.DictReader(file)}

    def linked(self, markdown: str) -> str:
        """Markdown whose mentions of equations, deviations and sections of notebooks are links within the site."""

        def section(found: re.Match[str]) -> str:
            notebook = self.notebooks.get(found[1])
            label = notebook.heading_label(found[2]) if notebook else None
            return f"](#{label or 'all-notebooks'})"

        text = re.sub(r"\]\((?:notebooks/)?(\d\d_\w+)\.ipynb#([^)\s]+)\)", section, markdown)
        return cross_reference(text, {row["id"] for row in self.deviations})

    def picture(self, work: Work, to: str) -> str:
        """A figure as a picture; `to` is the way from the page's folder to the top."""
        alternative = work.alternative.replace("[", "(").replace("]", ")")
        return f"![{alternative}]({to}figures/{work.name}.png)"

    def badge(self, claim: str) -> str:
        """The verdict on a claim, coloured."""
        verdict = self.verdicts.get(claim, {}).get("verdict", "not decided yet")
        return f'<span class="verdict verdict-{slug(verdict)}">{verdict}</span>'

    def effect(self, claim: str) -> str:
        """Effect and interval of the deciding comparison."""
        row = self.verdicts.get(claim, {})
        if not row.get("effect"):
            return ""
        effect, lower, upper = (
            f"{float(row[name]):.3g}" if row[name] else "none" for name in ("effect", "lower", "upper")
        )
        return f"{effect} \\[{lower}, {upper}\\]"

    def about(self, work: Work) -> list[dict[str, str]]:
        """Claims that the paper makes with a figure or table."""
        found = re.fullmatch(r"(fig|table)0*(\d+)", work.name)
        if not found:
            return []
        word = "Fig" if found[1] == "fig" else "Table"
        return [row for row in self.claims if int(found[2]) in numbers(row["place"], word)]

    def evidence(self, claim: str) -> str:
        """A link to the notebook's section that shows a claim."""
        name, _, anchor = next(row["evidence"] for row in self.claims if row["id"] == claim).partition("#")
        stem = name.removesuffix(".ipynb")
        notebook = self.notebooks.get(stem)
        label = notebook.heading_label(anchor) if notebook else None
        words = f"notebook {stem.partition('_')[0]}, {anchor.replace('-', ' ')}"
        return link(words, label) if label else words

    def place(self, text: str) -> str:
        """A place of the paper, with its figures and tables linked."""

        def linked(found: re.Match[str]) -> str:
            name = f"{'fig' if found[1] == 'Fig' else 'table'}{int(found[2]):0{2 if found[1] == 'Fig' else 1}d}"
            known = name in self.figures or name in self.tables
            return link(found[0], f"work-{name}") if known else found[0]

        return re.sub(r"\b(Fig|Table) (\d+)\b", linked, plain(text))

    # .. landing page

    def index(self) -> str:
        """The landing page."""
        lines = ["# CPO-MADDPG, an executable edition", ""]
        lines += [
            "Chen et al., *CPO-MADDPG for secure video offloading in mobile edge computing*, Computer Networks 280 "
            "(2026) 112164, rebuilt from its text: the model (Eq. 1-36), the algorithm (Eq. 37-56), every figure and "
            f"table, and a verdict on each of its {len(self.claims)} checkable claims. Where the text is open, the "
            f"choice is a numbered {link('deviation', 'all-deviations')}. A negative result is a result.",
            "",
        ]
        lines += [self.tally(), ""]
        main = self.figures.get(MAIN_FIGURE)
        if main:
            lines += [f"[{self.picture(main, '')}](#{main.label})", ""]
            lines += [f"{link(main.title, main.label)}: {plain(main.alternative)}.", ""]
        lines += ["## What the paper claims, and what is seen", ""]
        lines += [self.verdict_table(), ""]
        lines += self.summary()
        lines += ["## Where to go", ""]
        figures, tables = link("Figures", "all-figures"), link("tables", "all-tables")
        equations, notation = link("Equations", "all-equations"), link("notation", "all-notation")
        notebooks, code = link("Notebooks", "all-notebooks"), link("Source code", "all-code")
        lines += [
            f"- {figures} and {tables}: each with its claims, the notebook cell that makes it and the functions it is "
            "drawn with.",
            f"- {equations}: each with its code and its tests; {notation}; {link('deviations', 'all-deviations')}.",
            f"- {notebooks}: as they were executed. {code}: package and tests.",
            "",
            "To run it yourself: `make demo` runs the pipeline from nothing, `make lab` opens the notebooks.",
            "",
        ]
        for caption, pages in (
            ("Results", ["claims", "figures/index", "tables/index"]),
            ("Notebooks", ["notebooks/index"]),
            ("Reference", ["equations/index", "notation", "deviations", "source/index"]),
        ):
            lines += [contents(pages, hidden=True, caption=caption)]
        return "\n".join(lines)

    def tally(self) -> str:
        """How many claims have each verdict."""
        if not self.verdicts:
            return "The verdicts have not been made yet: notebook 50 makes them."
        given = [row["verdict"] for row in self.verdicts.values()]
        chips = [
            f'<span class="verdict verdict-{name}">{given.count(name)} {name}</span>'
            for name in claims.VERDICTS
            if name in given
        ]
        scale = next(iter(self.verdicts.values()))["scale"]
        return (
            f"{' '.join(chips)}\n\nAt scale `{scale}`. A verdict is computed from stored runs; effect and interval are "
            "those of the comparison that decided, positive in the paper's favour."
        )

    def verdict_table(self) -> str:
        """All claims: number, statement, place, verdict, effect."""
        rows = [
            [
                link(row["id"], f"claim-{row['id']}"),
                link(sentence(row["claim"]), f"claim-{row['id']}"),
                self.place(row["place"]),
                self.badge(row["id"]),
                *([self.effect(row["id"])] if self.verdicts else []),
            ]
            for row in self.claims
        ]
        head = ["", "Claim", "Place", "Verdict", *(["Effect, interval"] if self.verdicts else [])]
        return table(head, rows, "verdicts")

    def summary(self) -> list[str]:
        """The results in one page without the table of claims, which stands above."""
        path = self.root / "figures" / "summary.md"
        if not path.exists():
            return []
        paragraphs = path.read_text(encoding="utf-8").strip().split("\n\n")
        kept = [text for text in paragraphs if not text.startswith("| id |")]
        return ["## All algorithms at the default setting", "", *(f"{self.linked(text)}\n" for text in kept)]

    # .. claims

    def claims_page(self) -> str:
        """Every claim with its verdict and the way to its evidence."""
        lines = ["(all-claims)=", "# Claims", "", self.tally(), ""]
        deciding = _deciding()
        for row in self.claims:
            number, verdict = row["id"], self.verdicts.get(row["id"], {})
            lines += [
                f"(claim-{number})=",
                f"## Claim {number}",
                "",
                f"{self.badge(number)} {sentence(row['claim'])}",
                "",
            ]
            facts = [f"**Printed in** {self.place(row['place'])}"]
            facts += [f"**Decided by** {sentence(row['decided_by'])}"]
            if verdict:
                reason = f"**Why** {sentence(verdict['reason'])}"
                if self.effect(number):
                    decided = f"{plain(verdict['decided_on'])}, {verdict['seeds']} seeds"
                    reason += f"; effect and 95 % interval {self.effect(number)} ({decided})"
                facts += [reason]
            facts += [f"**Shown in** {self.evidence(number)}"]
            facts += [f"**Code** {self.code.link(deciding[int(number)])}"] if int(number) in deciding else []
            lines += [*(f"- {fact}" for fact in facts), ""]
        return "\n".join(lines)

    # .. figures and tables

    def work_page(self, work: Work) -> str:
        """A figure or table with its claims, its cell and its functions."""
        is_table = work.name in self.tables
        lines = [f"({work.label})=", f"# {work.title}", ""]
        if is_table:
            lines += [self.data_table(work.name), ""]
        else:
            lines += [self.picture(work, "../"), "", f"{plain(work.alternative)}.", ""]
        endings = ("csv", "tex") if is_table else ("svg", "pdf", "png")
        names = [
            f"{work.name}.{ending}" for ending in endings if (self.root / "figures" / f"{work.name}.{ending}").exists()
        ]
        files = [download(name.rpartition(".")[2].upper(), name) for name in names]
        lines += [f"Download: {', '.join(files)}", ""]
        if work.said:
            lines += ["## What the notebook says of it", "", self.linked(work.said), ""]
        about = self.about(work)
        if about:
            lines += ["## Claims", ""]
            for row in about:
                number = row["id"]
                words = f"{link(f'Claim {number}', f'claim-{number}')} {self.badge(number)} {sentence(row['claim'])}"
                lines += [f"- {words} ({self.evidence(number)})"]
            lines += [""]
        notebook = self.notebooks[work.notebook]
        lines += ["## Where it comes from", ""]
        lines += [f"- **Notebook cell** {link(f'{plain(notebook.title)}, the cell that makes it', work.cell_label)}"]
        lines += (
            [f"- **Section** {link(plain(notebook.heading_above(work.cell)), work.heading)}"] if work.heading else []
        )
        lines += [f"- **Function** {', '.join(self.code.link(name) for name in work.functions)}", ""]
        return "\n".join(lines)

    def data_table(self, name: str) -> str:
        """A table of figures/ as a table of the page."""
        with open(self.root / "figures" / f"{name}.csv", newline="", encoding="utf-8") as file:
            head, *rows = list(csv.reader(file))
        formulas = [column == "symbol" for column in head]
        body = [
            [_symbol(cell) if formula else plain(cell) for cell, formula in zip(row, formulas, strict=True)]
            for row in rows
        ]
        return table([plain(column.replace("_", " ")) for column in head], body, "data")

    def works_index(self, kind: str, works: dict[str, Work]) -> str:
        """The gallery of figures, or the list of tables."""
        lines = [f"(all-{kind})=", f"# {kind.capitalize()}", ""]
        lines += ["From each, one click leads to its claims, the notebook cell that makes it and its functions.", ""]
        if kind == "figures":
            lines += [":::::{container} gallery", ""]
            for work in works.values():
                lines += [f"::::{{container}} card\n[{self.picture(work, '../')}](#{work.label})\n"]
                lines += [f"**{link(work.title, work.label)}** {plain(work.alternative)}\n::::\n"]
            lines += [":::::", ""]
        else:
            lines += [
                f"- {link(work.title, work.label)}: {plain(self.notebooks[work.notebook].title)}"
                for work in works.values()
            ]
            lines += [""]
        word = "Figure" if kind == "figures" else "Table"
        missing = [
            title
            for title in self.missing
            if (title.startswith("Table") or title == TITLES["overall"]) == (word == "Table")
        ]
        lines += [f"Not made yet: {', '.join(missing)}.", ""] if missing else []
        lines += [contents(list(works), hidden=True)]
        return "\n".join(lines)

    # .. equations, notation, deviations

    def formula(self, row: dict[str, str]) -> tuple[str, str]:
        """LaTeX of an equation, and a link to the section of the notebook that prints it."""
        number, stem = int(row["equation"]), row["notebook"].removesuffix(".ipynb")
        notebook = self.notebooks.get(stem)
        found = notebook.equation(number) if notebook else None
        if notebook is None or found is None:
            where = link(plain(notebook.title), f"nb-{slug(stem)}-{slug(notebook.title)}") if notebook else stem
            return STATED.get(number, ""), where
        heading = notebook.heading_above(found[1])
        label = notebook.heading_label(heading)
        return found[0], link(f"{plain(notebook.title)}: {plain(heading)}", label or "all-notebooks")

    def equations_index(self) -> str:
        """All equations, rendered."""
        lines = ["(all-equations)=", "# Equations", ""]
        lines += ["Each number leads to the code that computes it and the tests that prove it.", ""]
        place = ""
        for row in self.equations:
            if row["place"] != place:
                place = row["place"]
                lines += [f"## {place}", ""]
            formula, _ = self.formula(row)
            number = row["equation"]
            lines += [f"**{link(f'Eq. {number}', f'eq-{number}')}** {plain(row['title'])}", ""]
            lines += ["$$", formula, "$$", ""] if formula else []
        lines += [contents([f"eq{int(row['equation']):02d}" for row in self.equations], hidden=True)]
        return "\n".join(lines)

    def equation_page(self, row: dict[str, str]) -> str:
        """One equation: formula, code, tests, notebook, symbols, deviations."""
        number = row["equation"]
        formula, where = self.formula(row)
        lines = [
            f"(eq-{number})=",
            f"# Eq. {number}: {plain(row['title'])}",
            "",
            f"{plain(row['place'])} of the paper.",
            "",
        ]
        lines += ["$$", formula, "$$", ""] if formula else []
        lines += ["## Code", ""]
        lines += [f"{sentence(row['reason'])}.", ""] if row["reason"] else []
        for name in several(row["function"]):
            lines += [self.code.link(name), "", self.code.include(name), ""]
        lines += ["## Tests", ""] if row["test"] else []
        lines += [f"- {self.code.test_link(test)}" for test in several(row["test"])]
        lines += ["", "## Notebook", "", where, ""]
        mine = [entry for entry in self.notation if entry["first_equation"] == number]
        if mine:
            lines += ["## New symbols", "", self.symbols(mine, False), ""]
        about = [entry for entry in self.deviations if int(number) in numbers(entry["place"], "Eq")]
        if about:
            lines += ["## Deviations", ""]
            lines += [f"- {link(entry['id'], entry['id'].lower())} {sentence(entry['problem'])}" for entry in about]
        return "\n".join([*lines, ""])

    def symbols(self, rows: list[dict[str, str]], equation: bool) -> str:
        """Rows of the notation as a table."""
        body = []
        for row in rows:
            places = ", ".join(self.code.link(name) for name in several(row["code"]))
            meaning = sentence(row["meaning"]) + (f"<br>{places}" if places else "")
            body.append([_symbol(row["symbol"]), f"`{row['name']}`", meaning, plain(row["unit"])])
            if equation:
                number = row["first_equation"]
                body[-1].append(link(f"Eq. {number}", f"eq-{number}") if number.isdigit() else plain(number))
        head = ["Symbol", "Name", "Meaning, place in the code", "Unit", *(["First in"] if equation else [])]
        return table(head, body, "notation")

    def notation_page(self) -> str:
        """The notation as a table."""
        return "\n".join(
            [
                "(all-notation)=",
                "# Notation",
                "",
                "The paper's letters and the names they have here. One symbol of the paper that means several things "
                "has several names.",
                "",
                self.symbols(self.notation, True),
            ]
        )

    def deviations_page(self) -> str:
        """Where the text is open, what was chosen, and what else it could mean."""
        lines = ["(all-deviations)=", "# Deviations", ""]
        lines += [
            "Where the paper's text is open, wrong or silent: what is done here, and what else it could mean.",
            "",
        ]
        path = self.root / "data" / "runs" / "measured_effects.csv"
        measured: dict[str, str] = {}
        if path.exists():
            with open(path, newline="", encoding="utf-8") as file:
                measured = {row["id"]: row["effect"] for row in csv.DictReader(file)}
        for row in self.deviations:
            effects = [text for text in (row["trials"], measured.get(row["id"], "")) if text]
            lines += [f"({row['id'].lower()})=", f"## {row['id']}", "", f"{sentence(row['problem'])}.", ""]
            facts = {
                "Place": self.equation_places(row["place"]),
                "Done here": sentence(row["reading"]),
                "Other readings": sentence(row["variants"]),
                "Parameter": ", ".join(f"`{name}`" for name in several(row["parameter"])),
                "Touches": sentence(row["figures"]),
                "Measured effect": sentence("; ".join(effects)),
            }
            lines += [*(f"- **{name}** {text}" for name, text in facts.items() if text), ""]
            lines += self.reading_effects(row["id"])
        return "\n".join(lines)

    def reading_effects(self, reading: str) -> list[str]:
        """What a reading changes in the final measures of each algorithm, where it was trained."""
        path = self.root / "data" / "runs" / "reading_effects.csv"
        if not path.exists():
            return []
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["reading"] == reading]
        if not rows:
            return []
        head = [
            "share",
            "algorithm",
            "measure",
            "as read here",
            "change under the other reading",
            "95 % interval",
            "seeds",
        ]
        cells = [
            [
                row["share"],
                row["algorithm"],
                row["measure"],
                *(f"{float(row[key]):.3f}" if row[key] else "" for key in ("default", "effect")),
                f"{float(row['lower']):.3f} to {float(row['upper']):.3f}" if row["lower"] else "",
                row["seeds"],
            ]
            for row in rows
        ]
        return [
            "By algorithm (notebook 51); at a share of the scale, the full or the reduced one:",
            "",
            *table(head, cells),
            "",
        ]

    def equation_places(self, text: str) -> str:
        """A place whose first equation is linked."""
        known = {row["equation"] for row in self.equations}
        return re.sub(r"\bEq (\d+)", lambda m: link(m[0], f"eq-{m[1]}") if m[1] in known else m[0], plain(text))

    # .. lists

    def notebooks_index(self) -> str:
        """All notebooks, in their series."""
        lines = [
            "(all-notebooks)=",
            "# Notebooks",
            "",
            "As they were executed; nothing was run to make these pages.",
            "",
        ]
        for caption, series in SERIES.items():
            books = [book for book in self.notebooks.values() if int(book.stem.partition("_")[0]) in series]
            if books:
                lines += [f"## {caption}", "", contents([_entry(book) for book in books])]
        return "\n".join(lines)

    def source_index(self) -> str:
        """All modules."""
        package = [module_name(path) for path in self.code.texts if path.startswith("mecpaper")]
        tests = [module_name(path) for path in self.code.texts if path.startswith("tests")]
        lines = ["(all-code)=", "# Source code", "", "## Package", "", contents(package)]
        return "\n".join([*lines, *(["## Tests", "", contents(tests)] if tests else [])])

    def pages(self) -> Iterator[tuple[str, str]]:
        """Name and text of each page that is written in Markdown."""
        yield "index.md", self.index()
        yield "claims.md", self.claims_page()
        yield "notation.md", self.notation_page()
        yield "deviations.md", self.deviations_page()
        yield "figures/index.md", self.works_index("figures", self.figures)
        yield "tables/index.md", self.works_index("tables", self.tables)
        for work in self.figures.values():
            yield f"figures/{work.name}.md", self.work_page(work)
        for work in self.tables.values():
            yield f"tables/{work.name}.md", self.work_page(work)
        yield "equations/index.md", self.equations_index()
        for row in self.equations:
            yield f"equations/eq{int(row['equation']):02d}.md", self.equation_page(row)
        yield "notebooks/index.md", self.notebooks_index()
        yield "source/index.md", self.source_index()
        yield from self.code.pages()


def _entry(book: Notebook) -> str:
    """A line of a list of pages: a notebook under its number and title."""
    number = book.stem.partition("_")[0]
    return book.stem if book.title.startswith(number) else f"{number} {book.title} <{book.stem}>"


def _symbol(text: str) -> str:
    """A symbol of the paper as a formula, with what is said of its place behind it."""
    found = re.fullmatch(r"(.*?)( \((?:Eq|Table|Section|Algorithm|Fig|as )[^()]*\))?", text)
    assert found is not None  # the pattern takes any text
    return f"${found[1]}$" + plain(found[2] or "")


def _deciding() -> dict[int, str]:
    """Claim -> dotted name of its rule."""
    return {number: f"mecpaper.claims.rules.claim_{number}" for number in claims.CLAIMS}
