"""Read params.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError

from mecpaper.config.fields import ConfigError, parse, shown
from mecpaper.config.root import find_root
from mecpaper.config.schema import Config


def load(path: Path | str | None = None) -> Config:
    """Read and check params.yaml.

    Args:
        path: the file; by default that of the project around the working directory.
    Raises:
        ConfigError: one line with the key, the value and what is allowed.
    """
    path = Path(path) if path is not None else find_root() / "params.yaml"
    try:
        content = path.read_bytes()
        data = read_yaml(content.decode("utf-8"), path.name)
    except FileNotFoundError:
        raise ConfigError(f"params file = {str(path)!r}: no such file") from None
    except OSError as error:
        raise ConfigError(f"params file = {str(path)!r}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path.name}, line {line}: {error.object[error.start :][:1]!r} is not UTF-8") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path.name} = {shown(data)}: a mapping of sections is required")
    return parse(Config, data)


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
