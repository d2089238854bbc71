"""`verify rehearse`: the whole suite on an environment, ended by the verdicts."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from core.places import checkout
from reports.runs import RunStore
from slas.judge import outcome_exit_code, read_verdicts

_UNCLEAN, _MISUSE, _INTERRUPTED = 4, 2, 130


def add_parser(commands: Any) -> None:
    """Add the command."""
    rehearse = commands.add_parser(
        "rehearse", help="make the environment, run the suites, judge, report, remove the environment"
    )
    rehearse.add_argument("--env", default="lab", help="environment (default lab)")
    rehearse.add_argument("--seed", type=int, help="seed of every random choice")
    rehearse.add_argument("-k", dest="keyword", help="only the tests that match, as in pytest")
    rehearse.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `pytest suites` and turn the verdicts into the exit code."""
    options = [str(checkout() / "suites"), f"--env={arguments.env}", "--rootdir", str(checkout()), "-q"]
    options += ["-p", "no:cacheprovider", "--tb=short"]
    options += [f"--seed={arguments.seed}"] if arguments.seed is not None else []
    options += ["-k", arguments.keyword] if arguments.keyword else []
    before = RunStore().latest()
    status = int(pytest.main(options))
    if status == pytest.ExitCode.USAGE_ERROR:
        return _MISUSE
    made = RunStore().latest()
    if made is None or (before is not None and made.path == before.path):
        return _UNCLEAN
    exit_code = made.info().exit
    if exit_code == _UNCLEAN or not made.verdicts.exists():
        return _INTERRUPTED if status == pytest.ExitCode.INTERRUPTED else _UNCLEAN
    if status == pytest.ExitCode.INTERRUPTED:
        return _INTERRUPTED
    judged = outcome_exit_code(read_verdicts(made.path))
    # A test that failed otherwise than by a verdict is a failure too.
    return judged or (1 if status else 0)
