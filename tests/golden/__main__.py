"""Update the golden numbers (`python -m tests.golden`), or with `--exact` compare them to the last bit."""

import sys

from mecpaper.config import RESULTS_VERSION
from tests import golden

chosen = golden.settings()
measured = {name: golden.measure(chosen, name) for name in golden.names(chosen)}
if "--exact" in sys.argv[1:]:
    stored = golden.read()["numbers"]
    lines = [
        f"{name}, {line}"
        for name in stored.keys() | measured.keys()
        for line in golden.differences(stored.get(name, {}), measured.get(name, {}), relative=0.0)
    ]
    print("\n".join(lines) or f"{len(measured)} golden trainings agree in every digit")
    sys.exit(bool(lines))
if golden.NUMBERS.exists() and (stored := golden.read())["version"] == RESULTS_VERSION:
    known = measured.keys() & stored["numbers"].keys()
    moved = [name for name in sorted(known) if golden.differences(stored["numbers"][name], measured[name], 1e-4)]
    if moved:
        sys.exit(
            f"golden numbers moved ({', '.join(moved)}): raise RESULTS_VERSION in mecpaper/config/experiment.py first"
        )
golden.NUMBERS.write_text(golden.text(RESULTS_VERSION, measured), encoding="utf-8")
print(f"{len(measured)} golden trainings written to {golden.NUMBERS.name}")
