"""The site: its sources say what the registries say, and every link, anchor, picture and file of its pages is there."""

import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from torch import Tensor, tensor

from mecpaper.edition import build, code, notebooks
from mecpaper.edition import text as markdown
from mecpaper.edition.pages import Edition
from mecpaper.env.game import Game

pytest.importorskip("sphinx", reason="the extra `site` is not installed: make site")


class Page(HTMLParser):
    """What a page defines and what it asks for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.files: list[str] = []
        self.without_text: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        for name in ("src", "href"):
            if tag in ("img", "script", "link", "iframe", "source") and name in given:
                self.files.append(given[name])
        # A name of a file or of its folder is no description.
        if tag == "img" and (len(given.get("alt") or "") < 15 or re.search(r"\.(png|svg)$|_images", given["alt"])):
            self.without_text.append(f"{given.get('src')}: {given.get('alt')!r}")


@pytest.fixture(scope="module")
def edition(root) -> Edition:
    return Edition(root)


@pytest.fixture(scope="module")
def pages(root) -> dict[Path, Page]:
    assert build.build(root) == 0
    found = sorted((root / build.SITE).rglob("*.html"))
    return {path: Page(path) for path in found if "_static" not in path.parts}


# -- the built pages


@pytest.mark.slow
def test_there_is_a_page_for_everything(root, pages, edition):
    names = {path.relative_to(root / build.SITE).as_posix() for path in pages}
    wanted = {"index", "claims/index", "notation", "deviations", "equations/index", "search"}
    wanted |= {f"equations/eq{number:02d}" for number in range(1, 57)}
    wanted |= {f"notebooks/{path.stem}" for path in (root / "notebooks").glob("*.ipynb")}
    wanted |= {f"figures/{name}" for name in edition.figures} | {f"tables/{name}" for name in edition.tables}
    assert {f"{name}.html" for name in wanted} <= names


@pytest.mark.slow
def test_every_link_leads_somewhere(pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.name}: {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                broken.append(f"{path.name}: {link} has no such anchor")
    assert broken == []


@pytest.mark.slow
def test_every_page_brings_what_it_needs_from_the_disk(pages):
    missing = [
        f"{path.name}: {name}"
        for path, page in pages.items()
        for name in page.files
        if not name.startswith(("data:", "#"))
        and (
            urlsplit(name).scheme or urlsplit(name).netloc or not (path.parent / unquote(urlsplit(name).path)).exists()
        )
    ]
    assert missing == []


@pytest.mark.slow
def test_style_sheets_ask_nothing_of_the_network(root, pages):
    asked = [
        f"{path.name}: {found}"
        for path in (root / build.SITE / "_static").rglob("*.css")
        for found in re.findall(r"url\(\s*['\"]?(?:https?:)?//[^)]*\)|@import[^;]*//[^;]*;", path.read_text("utf-8"))
    ]
    assert asked == []


@pytest.mark.slow
def test_every_picture_has_a_text(pages):
    assert [f"{path.name}: {text}" for path, page in pages.items() for text in page.without_text] == []


@pytest.mark.slow
def test_from_a_figure_one_click_leads_to_claim_cell_and_function(root, pages, edition):
    for work in edition.figures.values():
        links = pages[root / build.SITE / "figures" / f"{work.name}.html"].links
        assert any(link.startswith(f"../notebooks/{work.notebook.stem}.html#cell-") for link in links), work.name
        assert any(link.startswith("../api/report.html#mecpaper.report.") for link in links), work.name
        for claim in edition.about(work):
            assert f"../claims/claim{claim['id']:0>2}.html#claim-{claim['id']}" in links, (work.name, claim["id"])


@pytest.mark.slow
def test_an_equation_links_its_code_its_tests_and_its_notebook(root, pages, edition):
    for row in edition.equations:
        path = root / build.SITE / "equations" / f"eq{int(row['equation']):02d}.html"
        for name in markdown.several(row["function"]):
            assert any(re.fullmatch(rf"\.\./api/\w+\.html#{name}", link) for link in pages[path].links), name
        text = path.read_text(encoding="utf-8")
        for test in markdown.several(row["test"]):
            assert f"<summary>{test}</summary>" in text and f'<span class="nf">{test.partition("::")[2]}</span>' in text
        assert any(link.startswith("../notebooks/") for link in pages[path].links if "#" in link), row["equation"]


@pytest.mark.slow
def test_every_symbol_of_the_notation_leads_to_its_code(root, pages, edition):
    links = pages[root / build.SITE / "notation.html"].links
    for name in (name for row in edition.notation for name in markdown.several(row["code"])):
        inner, _, place = name.partition("(")[0].rpartition(".")
        assert any(link.endswith((f"#{inner}.{place}", f"#{inner}")) for link in links), name


@pytest.mark.slow
def test_an_entry_of_the_reference_leads_to_its_source_and_to_its_equation(root, pages):
    links = pages[root / build.SITE / "api" / "system.html"].links
    assert {"../_modules/mecpaper/system/channel.html#upload_rate", "../equations/eq05.html#eq-5"} <= set(links)


# -- the sources


def test_every_equation_has_a_meaning_and_its_symbols(edition):
    assert set(edition.meanings) == {row["equation"] for row in edition.equations}
    assert all(row["meaning"] for row in edition.meanings.values())
    symbols = {row["equation"]: {entry["name"] for entry in edition.symbols(row)} for row in edition.equations}
    assert {"bandwidth", "upload_rate", "offload", "transmit_power", "eavesdropper_noise_power"} <= symbols["12"]
    assert "observation" not in symbols["2"] and "size" in symbols["2"]
    shared = {"size": "3 4 6 7", "energy": "8 20", "true_db": "11", "mean_accuracy": "15", "compute_cost": "24"}
    shared |= {"penalty": "24", "reward_value": "42 43", "actors": "42 43", "actor_weights": "48", "joint_reward": "49"}
    for name, equations in shared.items():
        assert all(name in symbols[number] for number in equations.split()), name
    assert all("constrained_game" not in symbols[number] for number in ("36", "54", "55"))
    assert "held_transitions" in symbols["55"] and "devices" not in symbols["55"] and "devices" in symbols["25"]
    assert not {"replay", "buffer", "noise"} & symbols["46"]
    names = {name.removeprefix("-") for row in edition.meanings.values() for name in markdown.several(row["symbols"])}
    assert names <= {entry["name"] for entry in edition.notation}


def flat(values) -> list[float]:
    """All numbers of a number, of a tensor, or of a sequence of either."""
    if isinstance(values, list | tuple):
        return [number for value in values for number in flat(value)]
    return [float(number) for number in (values.flatten() if isinstance(values, Tensor) else [values])]


def printed(sentence: str) -> list[tuple[float, float]]:
    """The numbers of a sentence in SI units, each with half a unit of its last digit."""
    scales = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}
    found = re.findall(r"(-?\d+(?:\.(\d+))?)(?:(?:\\ \\text\{| )([mkMG])(?=bit|Hz|s|J|W))?", sentence)
    return [
        (float(number) * scales.get(unit, 1.0), 0.5001 * 10 ** -len(decimals) * scales.get(unit, 1.0))
        for number, decimals, unit in found
    ]


def test_every_example_of_an_equation_is_what_its_functions_compute(settings, edition):
    names = {name for row in edition.equations for name in markdown.several(row["function"])}
    places = [name.rpartition(".") for name in names if re.search(r"\.[a-z_]+\.[a-z_]+$", name)]
    functions = {name: getattr(importlib.import_module(module), name) for module, _, name in places}
    called = {row["equation"]: re.findall(r"\w+(?=;|$)", row["function"]) for row in edition.equations}
    for number, row in edition.meanings.items():
        assert bool(row["example"]) == bool(row["check"]) == bool(row["value"]), f"Eq. {number} lacks a part"
        if not row["check"]:
            continue
        assert not called[number] or any(f"{name}(" in row["check"] for name in called[number]), f"Eq. {number}"
        known = functions | {"tensor": tensor, "game": Game([settings.game])}
        values = [float(value) for value in markdown.several(row["value"])]
        assert flat(eval(row["check"], known)) == pytest.approx(values, rel=1e-3, abs=1e-9), f"Eq. {number}"
        for value in values:
            near = [abs(shown - value) <= half for shown, half in printed(row["example"])]
            assert any(near), f"the example of Eq. {number} does not say {value:g}"
    assert all(edition.meanings[str(number)]["check"] for number in range(1, 32))


def test_every_statement_is_decided_by_the_lines_of_code_that_its_claim_shows(root, edition):
    lines = (root / "mecpaper" / "claims" / "rules.py").read_text(encoding="utf-8").splitlines()
    for claim in edition.claims:
        first = int(code.rules(root, claim["id"]).split("-")[0])
        assert claim["id"] in " ".join(lines[first - 1 : first + 1]), claim["id"]


def test_every_equation_has_a_formula(edition):
    for row in edition.equations:
        formula, notebook, heading = edition.formula(row)
        assert notebook is not None and heading, row["equation"]
        assert "=" in formula or re.search(r"\\(in|sim|le|leftarrow|text|max)|>", formula), row["equation"]
        assert formula.count("{") == formula.count("}"), row["equation"]


def test_every_picture_of_a_notebook_has_a_written_text(edition):
    missing = []
    for notebook in edition.notebooks.values():
        for place, cell in enumerate(notebook.cells):
            outputs = cell.get("outputs", [])
            if any(kind in output.get("data", {}) for output in outputs for kind in notebooks.PICTURES):
                key = notebook.stem, notebook.heading_above(place)
                missing += [key] if key not in edition.alternatives else []
    for work in edition.figures.values():
        key = work.notebook.stem, work.heading
        missing += [key] if key not in edition.alternatives else []
    assert missing == []
    for stem, heading in edition.alternatives:
        assert heading in dict(edition.notebooks[stem].headings).values(), f"{stem} has no heading {heading}"


def test_every_figure_and_table_knows_where_it_comes_from(root, edition):
    drawn = {path.stem for path in (root / "figures").rglob("*.png")}
    assert drawn == set(edition.figures)
    assert {path.stem for path in (root / "figures").rglob("*.csv")} - {"claims"} == set(edition.tables)
    for work in [*edition.figures.values(), *edition.tables.values()]:
        assert work.heading and work.functions and code.body(root, work.functions[0]), work.name


def test_a_copy_of_a_notebook_shows_the_same_outputs(edition):
    for notebook in edition.notebooks.values():
        made = notebook.prepared(edition.linked)
        originals, copies = (
            [cell for cell in node["cells"] if cell["cell_type"] == "code"] for node in (notebook.node, made)
        )
        for before, after in zip(originals, copies, strict=True):
            assert (after["source"], after["execution_count"]) == (before["source"], before["execution_count"])
            assert len(after["outputs"]) == len(before["outputs"])
            for old, new in zip(before["outputs"], after["outputs"], strict=True):
                assert {k: v for k, v in old.get("data", {}).items() if k != "text/markdown"} == {
                    k: v for k, v in new.get("data", {}).items() if k != "text/markdown"
                }


def test_verdicts_appear_with_their_statements_and_where_they_are_shown(root):
    edition = Edition(root)
    row = {"verdict": "no difference of practical size", "statements": "no difference of practical size 1a"}
    row |= {"reason": "by construction", "optimum": "reproduced 1a", "with_optimum": "mixed", "scale": "demo"}
    edition.verdicts = {"1": row}
    statement = {"id": "1a", "text": "the reward is above that of LMADDPG", "meaning": "", "answer": "contradicted"}
    statement |= {"effect": "0.1234", "lower": "-1.0", "upper": "2.0", "margin": "0.06", "printed": "", "seeds": "5"}
    statement |= {"optimum": "reproduced", "needed": "", "kind": "more"}
    edition.statements = {"1": [statement, statement | {"needed": "12"}, statement | {"needed": "inf"}]}
    chip = '<span class="verdict verdict-no-difference-of-practical-size">'
    landing, claims = edition.render("index"), edition.render("claim", claim=edition.claims[0])
    assert f"{chip}1 no difference of practical size</span>" in landing
    assert f"{chip}no difference of practical size</span>" in landing and "practical size 1a" in claims
    assert "- **Note** By construction" in claims and "- **At the optimum** Reproduced 1a; if" in claims
    assert '<span class="verdict verdict-contradicted">contradicted</span>' in claims
    interval = r"0.123 \[-1, 2\], margin 0.06, 5 seeds"
    for ending in ("", "; decided by about 12", "; decided by more than 1000"):
        assert f"  - {interval}{ending}\n" in claims
    assert "(<../notebooks/20_overall_comparison.ipynb#Figure-4>)" in claims
    edition.verdicts = {}
    assert "not decided yet" in edition.render("index")


def test_every_verdict_has_a_colour_of_its_own_on_the_site(root):
    style = (root / "docs" / "style.css").read_text(encoding="utf-8")
    for name in Edition.verdict_names:
        assert name == "open" or f".verdict-{markdown.slug(name)}" in style


def test_a_deviation_shows_its_words_its_computed_effect_and_the_effects_by_algorithm(root):
    edition = Edition(root)
    edition.deviations = [next(row for row in edition.deviations if row["id"] == "D4") | {"trials": "seen once"}]
    edition.measured_effects = {"D4": "reward -0.012"}
    row = {"reading": "D4", "algorithm": "cpo_maddpg", "measure": "reward", "default": "1.16224"}
    row |= {"effect": "-0.0121", "lower": "-0.0734", "upper": "0.0492", "seeds": "3"}
    edition.reading_effects = [row, row | {"lower": "", "upper": "", "reading": "D5"}]
    page = edition.render("deviations")
    assert "- **Place** [Eq 5](#eq-5), 9, 12\n" in page
    assert "- **Measured effect** Seen once; reward -0.012\n" in page
    cells = ["CPO-MADDPG", "reward", "1.162", "-0.012", "-0.073 to 0.049", "3"]
    assert "* - " + "\n  - ".join(cells) + "\n```\n" in page


@pytest.mark.parametrize(
    ("text", "word", "found"),
    [
        ("Fig 4, §5.2.1", "Fig", {4}),
        ("Figs 6, 9-12; Tables 3, 4", "Fig", {6, 9, 10, 11, 12}),
        ("Figs 6, 9-12; Tables 3, 4", "Table", {3, 4}),
        ("Section 3.2 vs Eq 13", "Eq", {13}),
        ("Eq 44 vs Eq 45", "Eq", {44, 45}),
        ("Section 5", "Eq", set()),
    ],
)
def test_numbers_of_a_place(text, word, found):
    assert markdown.numbers(text, word) == found


def test_a_block_with_several_equations_is_split():
    block = r"a = b \quad (3) \qquad" + "\n" + r"c = (1 - d) \quad (6)"
    assert notebooks.split_equations(block) == [([3], "a = b"), ([6], "c = (1 - d)")]
    assert notebooks.split_equations(r"\max J \quad (37, 38)") == [([37, 38], r"\max J")]


def test_mentions_become_links_in_prose_only():
    text = "# Eq. 3\n\nBy Eq. 3 and D1, not D99; `D1`, $D1$, [D1](x)."
    linked = markdown.cross_reference(text, {"D1"})
    assert linked == "# Eq. 3\n\nBy [Eq. 3](#eq-3) and [D1](#d1), not D99; `D1`, $D1$, [D1](x)."


@pytest.mark.slow
def test_a_section_of_a_notebook_is_linked_as_jupyterlab_links_it(root, pages):
    links = {link for page in pages.values() for link in page.links}
    assert (
        "20_overall_comparison.html#figure-4" in links and "../notebooks/20_overall_comparison.html#figure-4" in links
    )
    assert "Figure-4" in pages[root / build.SITE / "notebooks" / "20_overall_comparison.html"].anchors


@pytest.mark.slow
def test_a_link_to_a_section_that_does_not_exist_fails_the_build(root, tmp_path):
    docs = root / "docs" / "conf.py"
    (tmp_path / "conf.py").write_text(docs.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "index.md").write_text("# Start\n\n[there](#Start) [gone](index.md#Gone)\n", encoding="utf-8")
    (tmp_path / "_static").mkdir()
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", str(tmp_path), str(tmp_path / "made")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 1 and "index.md:3" in done.stderr and "Gone" in done.stderr
    assert done.stderr.count("WARNING") == 1


def test_every_public_function_of_the_system_is_in_the_reference(root, pages):
    anchors = pages[root / build.SITE / "api" / "system.html"].anchors
    for path in (root / "mecpaper" / "system").glob("[a-z]*.py"):
        defined = re.findall(r"(?m)^def ([a-z]\w*)", path.read_text(encoding="utf-8"))
        assert defined and {f"mecpaper.system.{path.stem}.{name}" for name in defined} <= anchors


def test_the_code_of_a_name_is_shown_without_its_docstring(tmp_path):
    (tmp_path / "room").mkdir()
    source = 'X = 1\n\n\n@cached\ndef f(a):\n    """Add.\n\n    One.\n    """\n    return a + 1\n\n\n'
    source += 'class C:\n    """Hold."""\n\n    def g(self):\n        return 2\n'
    (tmp_path / "room" / "made.py").write_text(source, encoding="utf-8")
    assert code.body(tmp_path, "room.made.f") == "@cached\ndef f(a):\n    return a + 1"
    assert code.body(tmp_path, "room/made.py::f") == code.body(tmp_path, "room.made.f")
    assert code.body(tmp_path, "room.made.C.g") == "def g(self):\n    return 2"
    assert code.body(tmp_path, "room.made.C") == "class C:\n\n    def g(self):\n        return 2"
    short = 'def a():\n    """Only."""\n\n\ndef b():\n    """Both."""; return 3\n\n\n'
    short += 'async def c():\n    """Add."""\n    return 4\n'
    (tmp_path / "room" / "short.py").write_text(short, encoding="utf-8")
    assert code.body(tmp_path, "room.short.a") == 'def a():\n    """Only."""'
    assert code.body(tmp_path, "room.short.b") == 'def b():\n    """Both."""; return 3'
    assert code.body(tmp_path, "room.short.c") == "async def c():\n    return 4"
    with pytest.raises(LookupError, match=r"room\.made: neither a function nor a class"):
        code.body(tmp_path, "room.made")
    for name, missing in (
        ("room.made.C.h", "no h"),
        ("room.other.f", r"no \S*room.other\.py"),
        ("room.made.X", "no X"),
    ):
        with pytest.raises(LookupError, match=f"{name}: there is {missing}"):
            code.body(tmp_path, name)
