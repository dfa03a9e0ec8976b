"""The command line: `mecpaper`, or `python -m mecpaper`."""

from __future__ import annotations

import os
import subprocess
import sys

from mecpaper.commands import own, project, traces  # noqa: F401  (they register their commands)
from mecpaper.commands.parser import make_parser
from mecpaper.config import ConfigError

DESCRIPTION = "An executable edition of CPO-MADDPG: multi-agent learning for secure video offloading to an edge server."


def main(arguments: list[str] | None = None) -> int:
    """Run a command; report expected failures in one line on standard error."""
    if arguments is None and sys.flags.optimize > 1:
        # Help texts and cma need the docstrings that -OO drops.
        again = [sys.executable, "-O", "-m", "mecpaper", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | {"PYTHONOPTIMIZE": "1"})
    options = make_parser(DESCRIPTION).parse_args(arguments)
    try:
        return int(options.act(options))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        print(f"{error}: needs an extra, pip install 'mecpaper[notebooks,planner,site]'", file=sys.stderr)
        return 1
    except (RuntimeError, OSError, ArithmeticError, LookupError, ValueError, subprocess.CalledProcessError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
