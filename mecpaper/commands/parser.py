"""What all commands share: their list, a parser with errors of one line, common options, JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from mecpaper.config import Config, find_root, load, with_changes

Add = Callable[[argparse.ArgumentParser], None]
Act = Callable[[argparse.Namespace], int]

OWN, STORED, PIPELINE = "Your own experiments", "Stored results", "The pipeline and its stages"
"""Groups of commands, in the order of the help."""


class Command(NamedTuple):
    """A command.

    Args:
        group: heading of the help.
        act: function that returns the exit status; its docstring is the help.
        adds: functions that add the arguments.
    """

    group: str
    act: Act
    adds: tuple[Add, ...]


COMMANDS: dict[str, Command] = {}
"""Name -> command."""

EPILOG = """
mecpaper COMMAND --help explains a command with examples. Commands work anywhere: the project is the folder
that holds params.yaml, here or above, or MECPAPER_ROOT, or the checkout that mecpaper was installed from.
Exit status: 0 done, 1 failed or different, 2 wrong input, 130 interrupted; each with one line on standard error.
"""


def command(name: str, group: str, *adds: Add) -> Callable[[Act], Act]:
    """Register a command with the functions that add its arguments."""

    def register(act: Act) -> Act:
        COMMANDS[name] = Command(group, act, adds)
        return act

    return register


class Parser(argparse.ArgumentParser):
    """A parser that reports errors in one line, and takes no abbreviated options."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **keywords)

    def error(self, message: str) -> NoReturn:
        """End with one line on standard error."""
        print(f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def make_parser(description: str) -> Parser:
    """Make the parser of all registered commands."""
    lines = [description]
    for group in (OWN, STORED, PIPELINE):
        lines += ["", f"{group}:"]
        lines += [f"  {name:10} {_first_line(c.act)}" for name, c in COMMANDS.items() if c.group == group]
    parser = Parser(prog="mecpaper", description="\n".join(lines), epilog=EPILOG)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", help="one of the above")
    for name, entry in COMMANDS.items():
        made = commands.add_parser(name, description=_text(entry.act))
        for add in entry.adds:
            add(made)
        made.set_defaults(act=entry.act)
    return parser


def _first_line(act: Act) -> str:
    return (act.__doc__ or "").splitlines()[0]


def _text(act: Act) -> str:
    """A docstring as it is shown, with its examples indented."""
    lines = [line.strip() for line in (act.__doc__ or "").splitlines()]
    return "\n".join(f"  {line}" if line.startswith("mecpaper ") else line for line in lines)


def as_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def changes(parser: argparse.ArgumentParser) -> None:
    """Add `--scale`, `--set` and `--trace`, which `settings` applies."""
    parser.add_argument("--scale", metavar="NAME", help="a scale of params.yaml: smoke, demo, study, paper")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="change a key of params.yaml; repeatable"
    )
    parser.add_argument("--trace", metavar="FILE", help="gains and harvests from a file; as --set game.traces=FILE")


def settings(options: argparse.Namespace) -> tuple[Path, Config, Config, list[str]]:
    """Read params.yaml and apply the options of `changes`.

    Returns:
        The project's folder, the configuration as it is in the file and as changed, and the changes.
    Raises:
        ConfigError: one line with the key, the value and what is allowed.
    """
    root = find_root()
    config = load(root / "params.yaml")
    changed = [f"scale={options.scale}"] if options.scale else []
    changed += options.set
    if options.trace is not None:
        changed.append(f"game.traces={json.dumps(options.trace)}")
    return root, config, with_changes(config, changed), changed


def print_json(data: Any) -> None:
    """Print plain data as JSON."""
    print(json.dumps(data, indent=1, allow_nan=False))
