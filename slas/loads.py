"""What a load generator did in a window, and whether it may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slas.expectations import Expectation
from slas.timeline import Event, Timeline


@dataclass(frozen=True, kw_only=True)
class Load:
    """The seconds of load within a window, their sums, and why they prove nothing if they do not."""

    seconds: Sequence[Event]
    requests: int
    failures: int
    problems: Sequence[str]

    @property
    def error_ratio(self) -> float:
        """The share of failed requests; 0 without any request, which is a problem named in `problems`."""
        return self.failures / self.requests if self.requests else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the record as the evidence of a verdict holds it."""
        return {
            "load_seconds": len(self.seconds),
            "requests": self.requests,
            "failures": self.failures,
            "problems": list(self.problems),
        }


def load_of(timeline: Timeline, expectation: Expectation) -> Load:
    """Collect the load in an expectation's window, of `details.load_id` if that is given.

    A generator that is missing, sent nothing, died, lost a worker or never reported its end is a problem.
    """
    start_s, end_s = expectation.start_s, expectation.end_s
    load_id = expectation.details.get("load_id")
    mine = {"load_id": load_id} if load_id is not None else {}
    seconds = list(timeline.of_kind("load.second", start_s=start_s, end_s=end_s, **mine))
    requests = sum(int(second.get("requests", 0)) for second in seconds)
    failures = sum(int(second.get("failures", 0)) for second in seconds)
    starts = list(timeline.of_kind("load.started", end_s=end_s, **mine))
    ends = list(timeline.of_kind("load.ended", start_s=start_s, **mine))
    problems = []
    if not starts:
        problems.append("no load was started")
    elif not any(end["t"] >= starts[-1]["t"] for end in ends):
        problems.append("the load generator never reported its end")
    for end in ends:
        if starts and not any(start["t"] <= end["t"] for start in starts):
            continue
        if end.get("workers_lost"):
            problems.append(f"the load lost {end['workers_lost']} workers")
        if end.get("exit_code") != 0:
            problems.append(f"the load generator ended with {end.get('exit_code')}: {end.get('error', '')}")
        if starts and end["t"] >= starts[-1]["t"]:
            break
    if not requests:
        problems.append("the load sent no request in the window")
    return Load(seconds=tuple(seconds), requests=requests, failures=failures, problems=tuple(problems))
