"""`verify rehearse`: the whole suite on an environment, ended by the verdicts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cli.repetition import repeat
from cli.sessions import play
from core.places import checkout
from reports.runs import RunStore


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
    keep = "leave what Terraform applied until its time to live is over"
    rehearse.add_argument("--keep-env", action="store_true", help=keep)
    rehearse.add_argument("--reuse-env", metavar="ID", help="take a kept environment (verify env list)")
    rehearse.add_argument("--modules", metavar="A,B", help="apply only these modules of the Terraform root")
    rehearse.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Rehearse once, or several times in a row."""
    if arguments.repeat == 1:
        return _once(arguments)
    given = [f"--env={arguments.env}"]
    given += [f"--seed={arguments.seed}"] if arguments.seed is not None else []
    given += ["-k", arguments.keyword] if arguments.keyword else []
    given += _provisioned(arguments)
    return repeat(arguments.repeat, given, arguments.table or RunStore().root / "rehearsals.md")


def _provisioned(arguments: argparse.Namespace) -> list[str]:
    """Return the options about the provisioned environment, as pytest and this command both take them."""
    given = ["--keep-env"] if arguments.keep_env else []
    given += [f"--reuse-env={arguments.reuse_env}"] if arguments.reuse_env else []
    return given + ([f"--modules={arguments.modules}"] if arguments.modules else [])


def _once(arguments: argparse.Namespace) -> int:
    """Run `pytest suites` and turn the verdicts into the exit code."""
    options = [str(checkout() / "suites"), f"--env={arguments.env}"]
    options += [f"--seed={arguments.seed}"] if arguments.seed is not None else []
    options += ["-k", arguments.keyword] if arguments.keyword else []
    options += _provisioned(arguments)
    status, _ = play(options)
    return status
