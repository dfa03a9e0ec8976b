"""The registries of data/paper/: complete, consistent with each other, and true of the code they point at.

Each check names what is wrong, so that a failure reads as a list of rows to mend.
"""

import ast
import csv
import importlib
import inspect
import json
import math
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest

import mecpaper.system
from mecpaper import config

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {
    "notation": ["symbol", "name", "unit", "shape", "first_equation", "code", "meaning"],
    "equations": ["equation", "title", "place", "function", "test", "notebook", "reason"],
    "deviations": ["id", "place", "problem", "reading", "variants", "parameter", "figures", "trials"],
    "reported": ["id", "place", "algorithm", "scenario", "measure", "value", "unit", "remark"],
    "claims": ["id", "place", "text", "meaning", "kind", "margin", "reason", "printed", "label", "evidence"],
}
OPTIONAL = {
    "notation": {"unit", "shape", "code"},
    "equations": {"function", "test", "reason"},
    "deviations": {"variants", "parameter", "trials"},
    "reported": {"algorithm", "scenario", "remark"},
    "claims": {"place", "meaning", "kind", "margin", "reason", "printed", "label", "evidence"},
}
NO_SYMBOL = {
    "readings", "insecure_request_cost", "learning", "head_hidden", "gradient", "critic_heads", "gated", "replay",
    "priority_errors", "multipliers", "multiplier_rule", "multiplier_step", "multiplier_start", "traces",
    "accuracy_curve",
}  # fmt: skip
"""Constants that stand for no symbol of the text: choices between readings, a layer's width, what training needs."""


def rows(name: str) -> list[dict[str, str]]:
    """A registry as it is in the file, every value a string."""
    with open(ROOT / "data" / "paper" / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def several(cell: str) -> list[str]:
    """The parts of a cell that holds several, separated by semicolons."""
    return [part.strip() for part in cell.split(";") if part.strip()]


# -- what a row may point at -------------------------------------------------------------------------------


def _has(owner: object, name: str) -> bool:
    """Whether a class or module has a member, be it a field without default or set on the instance."""
    if hasattr(owner, name):
        return True
    if not inspect.isclass(owner):
        return False
    if name in getattr(owner, "model_fields", {}) or name in getattr(owner, "__dataclass_fields__", {}):
        return True
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        for node in ast.walk(tree)
    )


def resolve(path: str) -> object:
    """The object of a dotted path, or None for a field or instance attribute. Raises LookupError if there is none."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            target = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for i, name in enumerate(parts[length:], start=length):
            if not _has(target, name):
                raise LookupError(f"{'.'.join(parts[:i])} has no {name}")
            target = getattr(target, name, None)
            if target is None and i + 1 < len(parts):
                raise LookupError(f"{path}: nothing below {name}")
        return target
    raise LookupError(f"{path}: no such module")


def resolve_place(path: str) -> None:
    """Check a place of notation.csv: a dotted path, with `(argument)` behind it for an argument of a function."""
    match = re.fullmatch(r"([\w.]+)(?:\((\w+)\))?", path)
    if match is None:
        raise LookupError(f"{path}: not a dotted path")
    target, argument = resolve(match[1]), match[2]
    if argument is not None and argument not in inspect.signature(target).parameters:
        raise LookupError(f"{match[1]} has no argument {argument}")


def missing(paths: list[str], check) -> list[str]:
    """Messages of `check` for the paths it refuses."""
    complaints = []
    for path in paths:
        try:
            check(path)
        except LookupError as error:
            complaints.append(str(error))
    return complaints


def parameter(settings: config.Config, key: str, scenario: str = "default") -> object:
    """Value of a dotted key of params.yaml; a number in it is a place in a list. Raises LookupError."""
    section, *rest = key.split(".")
    if section == "game" and scenario in settings.scenarios:
        value: object = settings.scenario(scenario).model_dump()
    else:
        value, rest = settings.model_dump(), [section, *rest]
    for part in rest:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise LookupError(f"params.yaml has no {key}")
    return value


def is_parameter(settings: config.Config, key: str) -> bool:
    """Whether a measure is a key of params.yaml."""
    return key.split(".")[0] in settings.model_dump()


def mentioned_deviations() -> dict[str, set[str]]:
    """Deviation -> files that mention it: the package, params.yaml, the sources of the notebooks, the registries."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "mecpaper").rglob("*.py")}
    texts[ROOT / "params.yaml"] = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts[path] = "\n".join("".join(cell["source"]) for cell in cells)
    for path in (ROOT / "data" / "paper").glob("*.csv"):
        if path.stem == "deviations":
            own = [" ".join(value for key, value in row.items() if key != "id") for row in rows("deviations")]
            texts[path] = re.sub(r"\bD_n\b", "", "\n".join(own))
        else:
            texts[path] = path.read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for path, text in texts.items():
        for first, last in re.findall(r"\bD(\d+)(?:\s*[-–]\s*D(\d+))?\b", text):
            for number in range(int(first), int(last or first) + 1):
                found.setdefault(f"D{number}", set()).add(str(path.relative_to(ROOT)))
    return found


def equation_numbers(text: str) -> set[int]:
    """Numbers of the equations that a docstring cites: `Eq. (5), (9) and (12)`, `Eq. 26-30, 34`."""
    numbers: set[int] = set()
    for cited in re.findall(r"Eqs?\.?\s*(\(?\d+\)?(?:\s*(?:,|and|-|–)\s*\(?\d+\)?)*)", text):
        for first, last in re.findall(r"(\d+)\)?(?:\s*[-–]\s*\(?(\d+))?", cited):
            numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def public_functions(package) -> dict[str, object]:
    """Dotted path -> function, of all public functions defined in the modules of a package."""
    found = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
                found[f"{module.__name__}.{name}"] = value
    return found


# -- the form of every registry ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", COLUMNS)
def test_a_registry_has_its_columns_and_no_empty_cell_that_must_be_filled(name):
    table = rows(name)
    assert table and list(table[0]) == COLUMNS[name]
    bad = [
        (number, column)
        for number, row in enumerate(table, start=2)
        for column in COLUMNS[name]
        if row[column] is None or row[column] != row[column].strip()
        or (column not in OPTIONAL[name] and not row[column])
    ]  # fmt: skip
    assert not bad, f"{name}.csv, lines and columns: {bad}"
    assert all(None not in row for row in table), f"{name}.csv: a row with too many cells"


# -- equations ---------------------------------------------------------------------------------------------


def test_equations_1_to_56_are_there_once_each():
    assert [int(row["equation"]) for row in rows("equations")] == list(range(1, 57))


def test_functions_of_equations_can_be_imported_and_called():
    bad = []
    for row in rows("equations"):
        for path in several(row["function"]):
            complaints = missing([path], resolve)
            bad += [(row["equation"], complaint) for complaint in complaints]
            if not complaints and not callable(resolve(path)):
                bad.append((row["equation"], f"{path} is no function"))
    assert not bad, bad


def test_tests_of_equations_exist():
    functions = {
        f"tests/{path.name}::{node.name}"
        for path in (ROOT / "tests").glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    bad = [(row["equation"], test) for row in rows("equations") for test in several(row["test"])
           if test not in functions]  # fmt: skip
    assert not bad, bad
    # `pytest -k eq07` must find what the row of Eq 7 names.
    unnamed = [(row["equation"], test) for row in rows("equations") for test in several(row["test"])
               if f"eq{int(row['equation']):02d}_" not in test]  # fmt: skip
    assert not unnamed, unnamed


def test_an_equation_has_a_function_with_a_test_or_a_notebook_and_a_reason():
    bad = []
    for row in rows("equations"):
        if row["function"] and not row["test"]:
            bad.append(f"Eq {row['equation']}: a function without a test")
        if not row["function"] and not (row["notebook"] and row["reason"]):
            bad.append(f"Eq {row['equation']}: no function, and no notebook with a reason")
        if row["function"] and row["reason"]:
            bad.append(f"Eq {row['equation']}: a function, and a reason for having none")
    assert not bad, bad


def test_notebooks_of_equations_exist():
    bad = sorted({row["notebook"] for row in rows("equations") if not (ROOT / "notebooks" / row["notebook"]).is_file()})
    assert not bad, bad


def test_a_notebook_cites_the_equations_that_it_teaches():
    bad = []
    for name in sorted({row["notebook"] for row in rows("equations")}):
        cells = json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8"))["cells"]
        cited = equation_numbers("\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown"))
        taught = {int(row["equation"]) for row in rows("equations") if row["notebook"] == name}
        if taught - cited:
            bad.append(f"{name}: no mention of Eq {sorted(taught - cited)}")
    assert not bad, bad


def test_docstrings_of_the_system_model_name_their_equations_source_and_deviation():
    implements: dict[str, set[int]] = {}
    for row in rows("equations"):
        for path in several(row["function"]):
            implements.setdefault(path, set()).add(int(row["equation"]))
    functions = public_functions(mecpaper.system)
    assert len(functions) > 20
    bad = []
    for path, function in functions.items():
        text = function.__doc__ or ""
        unnamed = implements.get(path, set()) - equation_numbers(text)
        if unnamed:
            bad.append(f"{path}: no mention of Eq {sorted(unnamed)}")
        if not re.search(r"Source: \S", text):
            bad.append(f"{path}: no source")
        if not re.search(r"Deviation: (none|D\d+)", text):
            bad.append(f"{path}: no deviation, nor 'none'")
        if path not in implements and "Source: Table" not in text:
            bad.append(f"{path}: in no row of equations.csv")
    assert not bad, bad


# -- deviations --------------------------------------------------------------------------------------------


def test_deviations_are_numbered_without_a_gap():
    ids = [row["id"] for row in rows("deviations")]
    assert len(ids) >= 31 and ids == [f"D{number}" for number in range(1, len(ids) + 1)]


def test_every_deviation_that_is_mentioned_is_registered():
    registered = {row["id"] for row in rows("deviations")}
    found = mentioned_deviations()
    assert "mecpaper/system/channel.py" in found["D4"] and "params.yaml" in found["D4"]
    unknown = {key: sorted(files) for key, files in found.items() if key not in registered}
    assert not unknown, unknown


def test_parameters_of_deviations_are_keys_of_params(settings):
    bad = [(row["id"], complaint) for row in rows("deviations")
           for complaint in missing(several(row["parameter"]), lambda key: parameter(settings, key))]  # fmt: skip
    assert not bad, bad


def test_every_reading_that_can_be_switched_belongs_to_a_deviation():
    switched = {key for row in rows("deviations") for key in several(row["parameter"])}
    readings = {f"game.readings.{key}" for key in config.Readings.model_fields}
    assert not readings - switched, readings - switched


# -- reported numbers --------------------------------------------------------------------------------------


def test_reported_rows_are_numbered_and_hold_numbers():
    table = rows("reported")
    assert [int(row["id"]) for row in table] == list(range(1, len(table) + 1))
    bad = [row["id"] for row in table if not math.isfinite(float(row["value"]))]
    assert not bad, bad
    keys = [(row["place"], row["algorithm"], row["scenario"], row["measure"], row["remark"]) for row in table]
    twice = {key for key in keys if keys.count(key) > 1}
    assert not twice, twice


def test_reported_percentages_agree_with_their_printed_form():
    compared = 0
    for row in rows("reported"):
        printed = re.search(r"printed[^\d;]*([\d.]+) ?%", row["remark"])
        if printed is None:
            continue
        compared += 1
        assert float(row["value"]) == pytest.approx(float(printed[1]) / 100.0, rel=1e-12), row
    assert compared > 20


def test_tables_3_and_4_are_complete():
    table = rows("reported")
    for place, scenarios in (
        ("Table 3", ("default", "users_30", "users_40", "users_50")),
        ("Table 4", ("attacker_weak", "attacker_moderate", "attacker_strong")),
    ):
        found = {(r["scenario"], r["measure"]) for r in table if r["place"] == place and "." not in r["measure"]}
        assert found == {(scenario, measure) for scenario in scenarios for measure in ("reward", "ecpr", "sor")}


def test_parameters_that_the_paper_prints_are_those_of_params_or_a_named_deviation(settings):
    deviations = {row["id"]: several(row["parameter"]) for row in rows("deviations")}
    bad, compared = [], 0
    for row in rows("reported"):
        key, scenario = row["measure"], row["scenario"]
        if not is_parameter(settings, key):
            continue
        complaints = missing([key], lambda key: parameter(settings, key))
        if complaints:
            bad.append((row["id"], complaints[0]))
            continue
        of_a_game = key.startswith("game.") and scenario in settings.scenarios
        if scenario != "default" and not of_a_game:
            continue  # a scenario that this version does not run
        compared += 1
        value = parameter(settings, key, scenario)
        same = isinstance(value, int | float) and math.isclose(value, float(row["value"]), rel_tol=1e-12)
        named = re.findall(r"\bD\d+\b", row["remark"])
        excused = any(key in deviations.get(name, []) for name in named)
        if not same and not excused:
            bad.append((row["id"], f"{key} = {value}, printed {row['value']}, and no deviation of this key is named"))
    assert not bad, bad
    assert compared > 50


def test_printed_cost_limits_follow_from_the_printed_capacities(settings):
    limits = {r["scenario"]: float(r["value"]) for r in rows("reported") if r["measure"] == "cost_limit"}
    capacities = {
        row["scenario"]: float(row["value"])
        for row in rows("reported")
        if row["measure"] == "game.battery_capacity" and row["place"] == "§5.3.1"
    }
    assert set(limits) == set(capacities) and len(limits) == 4
    for scenario, limit in limits.items():
        assert limit == pytest.approx(settings.game.cost_limit_fraction * capacities[scenario], rel=1e-12)


# -- claims ------------------------------------------------------------------------------------------------


def test_the_39_claims_are_numbered_and_differ_and_their_statements_stand_below_them():
    claims = [row for row in rows("claims") if row["id"].isdigit()]
    assert [int(row["id"]) for row in claims] == list(range(1, 40))
    assert len({row["text"] for row in claims}) == 39
    above = ""
    for row in rows("claims"):
        above = row["id"] if row["id"].isdigit() else above
        assert row["id"].rstrip("abcdefghijklmnopqrstuvwxyz") == above
        filled = {name for name, value in row.items() if value}
        assert filled == {"id", "place", "text", "evidence"} or {"id", "text", "kind", "margin", "reason"} <= filled
    ids = [row["id"] for row in rows("claims")]
    assert len(set(ids)) == len(ids)


def test_sizes_as_printed_are_those_of_the_reported_numbers():
    reported = {(row["place"], row["scenario"], row["measure"]): row["value"] for row in rows("reported")}
    printed = {row["id"]: row["printed"] for row in rows("claims") if row["printed"]}

    def change(table, measure, first, second):
        return abs(float(reported[table, second, measure]) - float(reported[table, first, measure]))

    users, attackers = ("default", "users_30", "users_40", "users_50"), ("weak", "moderate", "strong")
    for letter, first, second in zip("abcd", (*users[:3], users[0]), (*users[1:], users[3]), strict=True):
        assert float(printed[f"10{letter}"]) == pytest.approx(change("Table 3", "reward", first, second))
    for letter, first, second in zip("abc", ("weak", "moderate", "weak"), (*attackers[1:], "strong"), strict=True):
        for claim, measure in ((22, "reward"), (24, "sor")):
            size = change("Table 4", measure, f"attacker_{first}", f"attacker_{second}")
            assert float(printed[f"{claim}{letter}"]) == pytest.approx(size)
    for letter in "ab":
        assert float(printed[f"11{letter}"]) == pytest.approx(change("Table 3", "ecpr", "default", "users_50"))
        size = change("Table 4", "ecpr", "attacker_weak", "attacker_strong")
        assert float(printed[f"23{letter}"]) == pytest.approx(size)
    gains = {35: "convergence_gain", 36: "penalty_reduction", 37: "reward_gain"}
    for claim, measure in gains.items():
        sizes = {size for name, size in printed.items() if name[:2] == str(claim)}
        assert {float(size.removesuffix("%")) / 100.0 for size in sizes} == {float(reported["§6", "", measure])}


# -- notation ----------------------------------------------------------------------------------------------


def test_one_symbol_has_one_name_and_one_name_one_symbol():
    table = rows("notation")
    for column in ("symbol", "name"):
        values = [row[column] for row in table]
        twice = {value for value in values if values.count(value) > 1}
        assert not twice, (column, twice)
    bad = [row["name"] for row in table if not re.fullmatch(r"[a-z][a-z0-9_]*", row["name"])]
    assert not bad, bad


def test_first_equations_of_symbols_are_equations():
    bad = [row["symbol"] for row in rows("notation") if int(row["first_equation"]) not in range(1, 57)]
    assert not bad, bad


def test_places_of_symbols_in_the_code_resolve():
    bad = [(row["symbol"], complaint) for row in rows("notation")
           for complaint in missing(several(row["code"]), resolve_place)]  # fmt: skip
    assert not bad, bad


def test_a_symbol_without_a_place_says_why():
    bad = [row["symbol"] for row in rows("notation") if not row["code"] and len(row["meaning"].split()) < 6]
    assert not bad, bad


@pytest.mark.parametrize("section", [config.GameConfig, config.learners.CPOMADDPGConfig])
def test_every_constant_stands_for_a_symbol(section):
    places = {place for row in rows("notation") for place in several(row["code"])}
    fields = {f"{section.__module__}.{section.__name__}.{key}" for key in section.model_fields}
    excused = {f"{section.__module__}.{section.__name__}.{key}" for key in NO_SYMBOL}
    assert not fields - places - excused, sorted(fields - places - excused)


# -- the checks themselves ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "mecpaper.system.tasks.no_such_function",
        "mecpaper.no_such_module.function",
        "mecpaper.env.game.Slot.no_such_field",
        "mecpaper.env.game.Game.no_such_attribute",
        "mecpaper.env.game.Slot.reward.deeper",
        "mecpaper.system.tasks.chunk_size(no_such_argument)",
        "mecpaper.config.game.GameConfig.no_such_key",
        "not a path",
    ],
)
def test_a_place_that_does_not_exist_is_refused(path):
    with pytest.raises(LookupError):
        resolve_place(path)


@pytest.mark.parametrize("key", ["game.no_such_key", "no_such_section", "game.gain_db.2", "game.devices.0"])
def test_a_parameter_that_does_not_exist_is_refused(settings, key):
    with pytest.raises(LookupError):
        parameter(settings, key)


def test_cited_equations_are_read_from_text():
    assert equation_numbers("the sum in Eq. (5), (9) and (12).") == {5, 9, 12}
    assert equation_numbers("satisfy C1-C5, Eq. 26-30, 34-35.") == {26, 27, 28, 29, 30, 34, 35}
    assert equation_numbers("Eq. (1) and constraint C1, Eq. (26)") == {1, 26}
    assert equation_numbers("nothing here, 7 and 8") == set()
