"""Judging a run: every expectation of its timeline, by the checker of its SLA."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import InconclusiveError, SettingsError
from core.files import write_atomic
from slas.checkers import (
    acceptance,
    alert_latency,
    deploy_time,
    downtime,
    error_ratio,
    invariant,
    latency,
    recovery_time,
    rollback,
    steady_state,
)
from slas.expectations import Expectation
from slas.paired import beside
from slas.timeline import Event, Timeline
from slas.verdicts import Outcome, Verdict, merge

Checker = Callable[[Timeline, Expectation], Verdict]

CHECKERS: Mapping[str, Checker] = {
    "acceptance": acceptance.check,
    "alert_latency": alert_latency.check,
    "deploy_time": deploy_time.check,
    "downtime": downtime.check_total,
    "downtime_longest": downtime.check_longest,
    "error_ratio": error_ratio.check,
    "invariant": invariant.check,
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
    return [_doubted(timeline, _judged(timeline, event)) for event in timeline.of_kind("expectation")]


def outcome_exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return 0 if all are PASS, 1 if one is FAIL, else 3; no verdict at all is 3."""
    return _EXIT_CODES[merge(verdict.verdict for verdict in verdicts)]


def write_verdicts(run_dir: Path, verdicts: Iterable[Verdict]) -> None:
    """Write `verdicts.json` of a run, atomically."""
    write_atomic(run_dir / "verdicts.json", document(verdicts))


def document(verdicts: Iterable[Verdict], incomplete: Sequence[str] = ()) -> str:
    """Return the text of `verdicts.json`, with why the run is incomplete if it is."""
    content: dict[str, Any] = {"schema": SCHEMA, "verdicts": [verdict.as_json() for verdict in verdicts]}
    if incomplete:
        content["incomplete"] = list(incomplete)
    return json.dumps(content, indent=2, ensure_ascii=False, default=str, allow_nan=False) + "\n"


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


def _doubted(timeline: Timeline, verdict: Verdict) -> Verdict:
    """Take a PASS back if parts of the run are damaged: they may have held what would have failed it."""
    if verdict.verdict is not Outcome.PASS or not timeline.damage:
        return verdict
    more = f" and {len(timeline.damage) - 1} more" if len(timeline.damage) > 1 else ""
    cause = f"the run is damaged: {timeline.damage[0]}{more}"
    return replace(verdict, verdict=Outcome.INCONCLUSIVE, cause=cause)


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
        return beside(checker, timeline, expectation, checker(timeline, expectation))
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
        phase=event.get("phase"),
        verdict=Outcome.INCONCLUSIVE,
        measured=None,
        allowed=None,
        unit=str(event.get("unit", "")),
        cause=cause,
    )
