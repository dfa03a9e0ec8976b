"""Read params.yaml."""

from __future__ import annotations

from pathlib import Path

from mecpaper.config.fields import ConfigError, parse, shown
from mecpaper.config.plain import read_yaml
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
