"""Judging a run: every expectation of its timeline, by the checker of its SLA."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from core.errors import InconclusiveError, SettingsError
from core.files import write_atomic
from slas.checkers import (
    deploy_time,
    downtime,
    error_ratio,
    latency,
    recovery_time,
    rollback,
    steady_state,
)
from slas.expectations import Expectation
from slas.timeline import Event, Timeline
from slas.verdicts import Outcome, Verdict, merge

Checker = Callable[[Timeline, Expectation], Verdict]

CHECKERS: Mapping[str, Checker] = {
    "deploy_time": deploy_time.check,
    "downtime": downtime.check,
    "error_ratio": error_ratio.check,
    "latency_p95": latency.check,
    "latency_p99": latency.check,
    "recovery_time": recovery_time.check,
    "rollback": rollback.check_state,
    "rollback_time": rollback.check_time,
    "steady_state": steady_state.check,
}

SCHEMA = 1
_EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.INCONCLUSIVE: 3}


def judge(timeline: Timeline) -> list[Verdict]:
    """Return one verdict per expectation, in their order; an empty list if nothing was expected.

    Raises nothing: a checker that crashes gives INCONCLUSIVE with the exception as the cause.
    """
    return [_judged(timeline, event) for event in timeline.of_kind("expectation")]


def outcome_exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return 0 if all are PASS, 1 if one is FAIL, else 3; no verdict at all is 3."""
    return _EXIT_CODES[merge(verdict.verdict for verdict in verdicts)]


def write_verdicts(run_dir: Path, verdicts: Iterable[Verdict]) -> None:
    """Write `verdicts.json` of a run, atomically."""
    document = {"schema": SCHEMA, "verdicts": [verdict.as_json() for verdict in verdicts]}
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str, allow_nan=False)
    write_atomic(run_dir / "verdicts.json", text + "\n")


def read_verdicts(run_dir: Path) -> list[Verdict]:
    """Read `verdicts.json` of a run; raises SettingsError if it is absent, damaged or of another schema."""
    path = run_dir / "verdicts.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise SettingsError(path, "schema", str(SCHEMA), document["schema"])
        return [Verdict.from_json(record) for record in document["verdicts"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(path, "verdicts", "verdicts of schema 1", repr(error)) from error


def _judged(timeline: Timeline, event: Event) -> Verdict:
    try:
        expectation = Expectation.from_event(event)
    except InconclusiveError as error:
        return _stillborn(event, str(error))
    abandoned = expectation.details.get("inconclusive")
    if abandoned:
        return expectation.unknown(str(abandoned))
    checker = CHECKERS.get(expectation.sla)
    if checker is None:
        return expectation.unknown("no checker")
    try:
        return checker(timeline, expectation)
    except InconclusiveError as error:
        return expectation.unknown(str(error))
    except Exception as error:  # noqa: BLE001 - as in Jepsen: a checker that crashes cannot know
        return expectation.unknown(f"the checker crashed: {type(error).__name__}: {error}")


def _stillborn(event: Event, cause: str) -> Verdict:
    """Return the verdict on what is not even a whole expectation."""
    return Verdict(
        sla=str(event.get("sla", "unknown")),
        subject=str(event.get("subject", "unknown")),
        scenario=str(event.get("scenario", "unknown")),
        verdict=Outcome.INCONCLUSIVE,
        measured=None,
        allowed=None,
        unit=str(event.get("unit", "")),
        cause=cause,
    )
