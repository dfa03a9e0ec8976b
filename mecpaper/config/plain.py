"""Read YAML as plain data: no objects, and errors of one line."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError

from mecpaper.config.fields import ConfigError, shown


def read_yaml(text: str, name: str) -> Any:
    """Read YAML as plain data; the name stands for the text in messages.

    Raises:
        ConfigError: one line with name, line and problem.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        return yaml.load(text)
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None
    except YAMLError as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(" ".join(f"{name}{where}: {problem}".split())) from None


class _Constructor(SafeConstructor):
    """Report the position of values that do not fit their implied type, such as the date 2020-13-45."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError):
            kind = node.tag.rpartition(":")[2]
            raise ConstructorError(None, None, f"{shown(node.value)} is not a valid {kind}", node.start_mark) from None
