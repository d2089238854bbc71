"""The command `verify`: parses arguments, calls what a fixture would call, and speaks in exit codes.

0 all PASS, 1 a FAIL, 2 misuse, 3 INCONCLUSIVE and no FAIL, 4 the environment could not be made or cleaned.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from core.errors import VerifyError

# Each command and the module that adds it to the parser, in the order of the help.
COMMANDS = {
    "lab": "cli.labs",
    "rehearse": "cli.rehearsal",
    "probe": "cli.probe",
    "load": "cli.load",
    "chaos": "cli.chaos",
    "judge": "cli.judging",
    "images": "cli.images",
    "env": "cli.environments",
    "setup": "cli.setup",
    "clean": "cli.cleaning",
    "heal": "cli.healing",
}


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the whole command, or of one command.

    What a command needs takes up to a second to import, so the others are left out where one is named.
    """
    top = argparse.ArgumentParser(
        prog="verify", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in [COMMANDS[only]] if only else COMMANDS.values():
        import_module(module).add_parser(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error is one line, never a traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    chosen = parser(words[0] if words and words[0] in COMMANDS else None).parse_args(words)
    try:
        status = int(chosen.run(chosen))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the answer has enough; Python would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except VerifyError as error:
        print(f"verify {chosen.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"verify {chosen.command}: interrupted", file=sys.stderr)
        return 130
    else:
        return status


if __name__ == "__main__":
    sys.exit(main())
