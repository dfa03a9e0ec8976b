"""Write ro-crate-metadata.json: what lies where in the project, for archives; run by `make crate`, needs rocrate."""

import json
from pathlib import Path

from rocrate.model.contextentity import ContextEntity
from rocrate.model.person import Person
from rocrate.rocrate import ROCrate
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]

FILES = {
    "README.md": ("what the project is, its results and its commands", "text/markdown"),
    "CITATION.cff": ("how to cite it", "application/yaml"),
    "codemeta.json": ("the same as CodeMeta", "application/json"),
    "LICENSE": ("the licence", "text/plain"),
    "params.yaml": ("every number of the model, the learners and the experiments, with its source", "application/yaml"),
    "dvc.yaml": ("the pipeline", "application/yaml"),
    "dvc.lock": ("content of what each stage of the pipeline read and wrote", "application/yaml"),
    "requirements.lock": ("exact versions of the software", "text/plain"),
    "hashes.lock": ("SHA-256 of the files of these versions, without torch", "text/plain"),
    "docs/columns.csv": ("columns of the tables in data/runs", "text/csv"),
    "data/runs/summary.csv": ("final measures: a row per algorithm, scenario and seed", "text/csv"),
    "data/runs/verdicts.csv": ("verdict on each claim of the paper", "text/csv"),
}
FOLDERS = {
    "mecpaper/": "the model, the algorithms and the commands, in Python",
    "notebooks/": "derivations, trainings, figures, tables and the explorer, as executed notebooks",
    "data/paper/": "what the paper says: notation, equations, claims, deviations, reported numbers",
    "data/runs/": "learning curves, measures and policies per experiment",
    "data/traces/": "synthetic examples of measured gains and harvests",
    "figures/": "figures and tables, a folder per notebook",
    "tests/": "tests",
    "benchmarks/": "timed comparisons",
}
"""Path -> description, and the media type of a file."""


def make() -> ROCrate:
    """Describe the project with what CITATION.cff and codemeta.json say of it."""
    about = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
    cited = YAML(typ="safe").load(ROOT / "CITATION.cff")
    paper = cited["references"][0]
    crate = ROCrate(version="1.1")
    crate.root_dataset["datePublished"] = str(cited["date-released"])
    for key in ("name", "description", "keywords", "version"):
        crate.root_dataset[key] = about[key]
    crate.license = crate.add(ContextEntity(crate, about["license"], {"@type": "CreativeWork", "name": "MIT License"}))
    names = enumerate(person["name"] for person in about["author"])
    crate.creator = [crate.add(Person(crate, f"#author{number}", {"name": name})) for number, name in names]
    place = f"{paper['journal']} {paper['volume']} ({paper['year']}) {paper['number']}"
    entry = {"@type": "ScholarlyArticle", "name": paper["title"], "description": place}
    crate.isBasedOn = crate.add(ContextEntity(crate, "#paper", entry))
    for path, (text, kind) in FILES.items():
        crate.add_file(ROOT / path, path, properties={"description": text, "encodingFormat": kind})
    for path, text in FOLDERS.items():
        crate.add_dataset(ROOT / path, path, properties={"description": text})
    return crate


if __name__ == "__main__":
    text = json.dumps(make().metadata.generate(), indent=2, sort_keys=True, ensure_ascii=False)
    (ROOT / "ro-crate-metadata.json").write_text(text + "\n", encoding="utf-8")
