"""Change single values of a configuration by their dotted keys, with the checks of params.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from mecpaper.config.fields import ConfigError, parse, shown
from mecpaper.config.plain import read_yaml
from mecpaper.config.schema import Config


def with_changes(config: Config, assignments: Sequence[str]) -> Config:
    """Return a checked copy of a configuration with some values changed.

    Args:
        config: the whole configuration.
        assignments: dotted key and value as in params.yaml, such as "learning.batch=64"; checked together.
    Raises:
        ConfigError: one line with the key, the value and what is allowed.
    """
    data = config.model_dump()
    for text in assignments:
        key, separator, written = text.partition("=")
        if not separator or not all(key.split(".")):
            raise ConfigError(f"{text!r}: KEY=VALUE is required, such as learning.batch=64")
        value = read_yaml(written, key)
        _check_key(config, key, value)
        *sections, last = key.split(".")
        place = data
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{key} = {shown(value)}: {section} is one value, set it as a whole")
        place[last] = value
    return parse(Config, data)


def check_effect(config: Config, assignments: Sequence[str], outcome: Callable[[Config], Any]) -> None:
    """Check that no change is without effect, such as that of a number which a scenario sets again.

    Args:
        config: the configuration before the changes.
        assignments: as for `with_changes`.
        outcome: what counts, computed from a configuration.
    Raises:
        ConfigError: without one of the changes the outcome is the same.
    """
    changed = with_changes(config, assignments)
    for place, text in enumerate(assignments):
        try:
            without = with_changes(config, [*assignments[:place], *assignments[place + 1 :]])
            idle = without != changed and outcome(without) == outcome(changed)
        except ConfigError:
            continue
        if idle:
            key, _, value = text.partition("=")
            raise ConfigError(
                f"{key} = {value}: changes nothing here; it is not used, or the scenario or the algorithm's own "
                "section in params.yaml overrides it"
            )


def _check_key(config: Config, key: str, value: Any) -> None:
    """Check that the sections know a key; scenarios and other mappings take new ones. Raises ConfigError."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, BaseModel):
            node = node.get(part) if isinstance(node, dict) else None
            continue
        known = type(node).model_fields
        if type(node).model_config.get("extra") == "allow":
            return
        if part not in known:
            similar = _similar(config, key)
            allowed = f"did you mean {' or '.join(similar)}?" if similar else f"one of {', '.join(known)}"
            raise ConfigError(f"{key} = {shown(value)}: unknown key; {allowed}")
        node = getattr(node, part)


def _similar(config: Config, key: str) -> list[str]:
    """Find keys that end in the same word, or that are written alike."""
    known = list(_keys(config))
    last = key.rpartition(".")[2]
    same = [name for name in known if name.rpartition(".")[2] == last]
    return same[:3] or get_close_matches(key, known, 2, 0.8)


def _keys(section: BaseModel, prefix: str = "") -> Iterator[str]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        yield f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from _keys(value, f"{prefix}{name}.")
