"""Shared pieces of the tests: the project's own configuration, and a small one for quick trainings."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings as hypothesis

from mecpaper import config

# The same cases every time; `--hypothesis-profile=thorough` draws others, and many more.
hypothesis.register_profile("ordinary", derandomize=True, database=None)
hypothesis.register_profile("thorough", max_examples=1500)
hypothesis.load_profile("ordinary")

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, the pipeline before all: where files run in parallel, none is left at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name != "test_pipeline.py", item.path not in slow))


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def settings() -> config.Config:
    """params.yaml as it is."""
    return config.load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def small(settings: config.Config) -> config.Config:
    """The same with 4 devices, 2 chunks, 5 slots, narrow networks and a few episodes."""
    data = settings.model_dump()
    data["game"] |= {"devices": 4, "chunks": 2, "slots": 5}
    data["scenarios"] = {"default": {}, "users_30": {"devices": 6}, "short": {"effort": "reduced"}}
    data["experiments"] = {name: ["default"] for name in data["experiments"]}
    data["policies"] = ["default"]
    data["learning"] |= {"hidden": [16, 16, 8], "batch": 8, "buffer": 200, "warmup_fraction": 0.1}
    data["evaluation"] |= {"curve_episodes": 1, "final_episodes": 2}
    scale = data["scales"][data["scale"]]
    scale |= {"seeds": [1, 2], "episodes": 16, "episodes_at_once": 2, "slots_per_update": 2, "curve_every": 4}
    scale["efforts"] = {"reduced": {"seeds": [3], "slots_per_update": 4}}
    return config.parse(config.Config, data)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small tensors: more threads only cost time, and one thread gives the same bits everywhere."""
    torch.set_num_threads(1)
