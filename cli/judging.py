"""`verify judge RUN`: the verdicts of a saved run, once more, without a cluster."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from core.errors import SettingsError
from reports.runs import Run, RunStore
from reports.table import print_verdicts
from slas.judge import document, judge, outcome_exit_code, read_verdicts
from slas.timeline import Timeline
from slas.verdicts import Verdict


def add_parser(commands: Any) -> None:
    """Add the command."""
    again = commands.add_parser("judge", help="judge a saved run again")
    again.add_argument("run_id", metavar="RUN", help="a run's id, its folder, or `latest`")
    again.add_argument("--json", action="store_true", help="print JSON, as verdicts.json has it")
    again.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge and print; the run's own verdicts.json stays as it is. What is incomplete never exits 0."""
    found = RunStore().find(arguments.run_id)
    timeline = Timeline.load(found.path)
    verdicts = judge(timeline)
    incomplete = _incomplete(found, timeline, verdicts)
    if arguments.json:
        print(document(verdicts, incomplete), end="")
    else:
        print_verdicts(verdicts)
        for reason in incomplete:
            print(f"incomplete: {reason}")
    for note in timeline.notes:
        print(f"note: {note}", file=sys.stderr)
    status = outcome_exit_code(verdicts)
    return status or (3 if incomplete else 0)


def _incomplete(run: Run, timeline: Timeline, verdicts: list[Verdict]) -> list[str]:
    """Say what the run should have and has not: an end, scenarios that ended, all verdicts of before."""
    info = run.info()
    reasons = [] if info.ended else ["the run has no end: it still runs, or was killed"]
    started = {str(event.get("scenario")) for event in timeline.of_kind("scenario.started")}
    ended = {str(event.get("scenario")) for event in timeline.of_kind("scenario.ended")}
    reasons += [f"scenario {name} did not end" for name in sorted(started - ended)]
    now = {one.key for one in verdicts}
    try:
        before = read_verdicts(run.path) if run.verdicts.exists() else []
    except SettingsError as error:
        return [*reasons, str(error)]
    lost = [one for one in before if one.key not in now]
    return reasons + [
        f"{one.sla} of {one.subject} in {one.scenario} was {one.verdict.value}, and is not expected any more"
        for one in lost
    ]
