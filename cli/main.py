"""The command `verify`: parses arguments, calls what a fixture would call, and speaks in exit codes.

0 all PASS, 1 a FAIL, 2 misuse, 3 INCONCLUSIVE and no FAIL, 4 the environment could not be made or cleaned.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cli import cleaning, judging, labs, probe, rehearsal, setup
from core.errors import VerifyError


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    top = argparse.ArgumentParser(
        prog="verify", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for room in (labs, rehearsal, probe, judging, setup, cleaning):
        room.add_parser(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error is one line, never a traceback."""
    chosen = parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except VerifyError as error:
        print(f"verify {chosen.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"verify {chosen.command}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
