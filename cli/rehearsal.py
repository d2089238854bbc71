"""`verify rehearse`: the whole suite on an environment, ended by the verdicts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from cli.repetition import repeat
from core.places import checkout
from reports.runs import RunStore
from slas.judge import outcome_exit_code, read_verdicts

_FAILED, _MISUSE, _UNJUDGED, _UNCLEAN, _INTERRUPTED = 1, 2, 3, 4, 130


def add_parser(commands: Any) -> None:
    """Add the command."""
    rehearse = commands.add_parser(
        "rehearse", help="make the environment, run the suites, judge, report, remove the environment"
    )
    rehearse.add_argument("--env", default="lab", help="environment (default lab)")
    rehearse.add_argument("--seed", type=int, help="seed of every random choice")
    rehearse.add_argument("-k", dest="keyword", help="only the tests that match, as in pytest")
    rehearse.add_argument("--repeat", type=int, default=1, metavar="N", help="rehearse N times in a row")
    rehearse.add_argument("--table", type=Path, help="where --repeat writes its table (Markdown)")
    rehearse.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Rehearse once, or several times in a row."""
    if arguments.repeat == 1:
        return _once(arguments)
    given = [f"--env={arguments.env}"]
    given += [f"--seed={arguments.seed}"] if arguments.seed is not None else []
    given += ["-k", arguments.keyword] if arguments.keyword else []
    return repeat(arguments.repeat, given, arguments.table or RunStore().root / "rehearsals.md")


def _once(arguments: argparse.Namespace) -> int:
    """Run `pytest suites` and turn the verdicts into the exit code."""
    options = [str(checkout() / "suites"), f"--env={arguments.env}", "--rootdir", str(checkout()), "-q"]
    options += ["-p", "no:cacheprovider", "--tb=short"]
    options += [f"--seed={arguments.seed}"] if arguments.seed is not None else []
    options += ["-k", arguments.keyword] if arguments.keyword else []
    before = RunStore().latest()
    status = int(pytest.main(options))
    # Imported after pytest, which wants to import the fixtures itself.
    from fixtures.environment import failed  # noqa: PLC0415

    made = RunStore().latest()
    if made is None or (before is not None and made.path == before.path):
        return _MISUSE if status == pytest.ExitCode.USAGE_ERROR else _UNCLEAN
    if failed(made):
        return _UNCLEAN
    known = {
        pytest.ExitCode.INTERRUPTED: _INTERRUPTED,
        pytest.ExitCode.USAGE_ERROR: _MISUSE,
        pytest.ExitCode.NO_TESTS_COLLECTED: _MISUSE,
    }
    judged = outcome_exit_code(read_verdicts(made.path)) if made.verdicts.exists() else 0
    if status in known:
        return known[pytest.ExitCode(status)]
    # A test that failed otherwise than by a verdict is a failure too; nothing judged is no success.
    return judged or (_FAILED if status else 0 if made.verdicts.exists() else _UNJUDGED)
