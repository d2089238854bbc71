"""`verify judge RUN`: the verdicts of a saved run, once more, without a cluster."""

from __future__ import annotations

import argparse
import json
from typing import Any

from reports.runs import RunStore
from reports.table import print_verdicts
from slas.judge import judge, outcome_exit_code
from slas.timeline import Timeline


def add_parser(commands: Any) -> None:
    """Add the command."""
    again = commands.add_parser("judge", help="judge a saved run again")
    again.add_argument("run_id", metavar="RUN", help="a run's id, its folder, or `latest`")
    again.add_argument("--json", action="store_true", help="print JSON")
    again.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge and print; the run's own verdicts.json stays as it is."""
    found = RunStore().find(arguments.run_id)
    verdicts = judge(Timeline.load(found.path))
    if arguments.json:
        print(json.dumps({"schema": 1, "verdicts": [v.as_json() for v in verdicts]}, indent=1))
    else:
        print_verdicts(verdicts)
    return outcome_exit_code(verdicts)
