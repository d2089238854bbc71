"""What a load did in a window, and whether it may be believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from slas.expectations import Expectation
from slas.samples import OK, OUTCOMES, SampleColumns
from slas.timeline import Event, Timeline

# A generator that takes more of a core than this measures itself, and one that sends less than this share of
# what was due has not put the load on the service that its numbers would be about.
MAX_CPU = 0.90
MIN_ACHIEVED = 0.95
# A generator's CPU over less than this is noise.
_MIN_SPAN_S = 0.5
_RUNNER = OUTCOMES.index("runner")


@dataclass(frozen=True, kw_only=True)
class Load:
    """The seconds and samples of load within a window, their sums, and why they prove nothing if they do not.

    `offered` and `achieved` are requests of the plan: due in the window, and finished in it.
    """

    seconds: Sequence[Event]
    samples: Sequence[SampleColumns]
    timeout_s: float
    requests: int
    failures: int
    offered: float
    achieved: float
    cpu: float
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
            "offered": round(self.offered, 1),
            "achieved": round(self.achieved, 1),
            "generator_cpu": round(self.cpu, 3),
            "problems": list(self.problems),
        }


def load_of(timeline: Timeline, expectation: Expectation) -> Load:
    """Collect the load in an expectation's window, of `details.load_id` if that is given.

    A generator that is missing, sent nothing, died, lost a worker, never reported its end, took over 90 % of
    a core or sent under 95 % of what was due is a problem; so are samples that are not all there.
    """
    return load_between(
        timeline, expectation.start_s, expectation.end_s, load_id=expectation.details.get("load_id")
    )


def load_between(timeline: Timeline, start_s: float, end_s: float, *, load_id: str | None = None) -> Load:
    """Collect the load between two moments, of all loads or of one."""
    mine: dict[str, Any] = {"load_id": load_id} if load_id is not None else {}
    # A second is stamped with its end: one that ends within the window may have begun before it.
    seconds = list(timeline.of_kind("load.second", start_s=start_s, end_s=end_s, **mine))
    starts = list(timeline.of_kind("load.started", end_s=end_s, **mine))
    ends = list(timeline.of_kind("load.ended", start_s=start_s, **mine))
    problems = _life_problems(starts, ends)
    sampled = any(start.get("samples") for start in starts)
    if sampled:
        rows = _rows(timeline, starts, start_s, end_s)
        requests = sum(int((part.outcome != _RUNNER).sum()) for part in rows)
        failures = sum(int(((part.outcome != OK) & (part.outcome != _RUNNER)).sum()) for part in rows)
        problems += _missing_rows(timeline, starts, ends)
    else:
        rows = []
        requests = sum(int(second.get("requests", 0)) for second in seconds)
        failures = sum(int(second.get("failures", 0)) for second in seconds)
    if not requests:
        problems.append("the load sent no request in the window")
    around = list(timeline.of_kind("load.second", start_s=start_s, **mine))
    offered, achieved = _pro_rata(around, start_s, end_s)
    # One request may fall on the other side of the window's edge.
    if achieved + 1 < MIN_ACHIEVED * offered:
        problems.append(
            f"the load achieved {achieved:.0f} of {offered:.0f} requests due in the window, "
            f"at least {MIN_ACHIEVED:.0%} are needed"
        )
    cpu = max(
        (
            float(second.get("cpu", 0.0))
            for second in around
            if second.get("span_s", 1.0) >= _MIN_SPAN_S and second["t"] - second.get("span_s", 1.0) < end_s
        ),
        default=0.0,
    )
    if cpu > MAX_CPU:
        problems.append(f"a generator took {cpu:.0%} of a core, more than {MAX_CPU:.0%}: it measures itself")
    problems += _absent_workers(seconds, starts)
    return Load(
        seconds=tuple(seconds),
        samples=tuple(rows),
        timeout_s=max((float(start.get("timeout_s", 2.0)) for start in starts), default=2.0),
        requests=requests,
        failures=failures,
        offered=offered,
        achieved=achieved,
        cpu=cpu,
        problems=tuple(problems),
    )


def _life_problems(starts: Sequence[Event], ends: Sequence[Event]) -> list[str]:
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
    return problems


def _absent_workers(seconds: Iterable[Event], starts: Sequence[Event]) -> list[str]:
    expected = {start.get("load_id"): int(start.get("workers", 1)) for start in starts}
    for second in seconds:
        there, wanted = second.get("workers"), expected.get(second.get("load_id"), 1)
        if there is not None and there < wanted:
            return [f"only {there} of {wanted} load workers reported in every second of the window"]
    return []


def _pro_rata(seconds: Iterable[Event], start_s: float, end_s: float) -> tuple[float, float]:
    """Return what was offered and achieved between two moments: of a second at the edge its part."""
    offered = achieved = 0.0
    for second in seconds:
        span_s = float(second.get("span_s") or 0.0)
        if "offered" not in second or span_s <= 0:
            continue
        begin_s = second["t"] - span_s
        share = max(0.0, min(end_s, second["t"]) - max(start_s, begin_s)) / span_s
        offered += share * float(second["offered"])
        achieved += share * float(second.get("achieved", 0))
    return offered, achieved


def _series(timeline: Timeline, load_id: str) -> list[SampleColumns]:
    return [rows for name, rows in timeline.samples.items() if name.startswith(f"load:{load_id}/")]


def _rows(timeline: Timeline, starts: Sequence[Event], start_s: float, end_s: float) -> list[SampleColumns]:
    rows = []
    for load_id in dict.fromkeys(str(start.get("load_id")) for start in starts):
        for columns in _series(timeline, load_id):
            inside = columns.take((columns.scheduled_s >= start_s) & (columns.scheduled_s <= end_s))
            if len(inside):
                rows.append(inside)
    return rows


def _missing_rows(timeline: Timeline, starts: Sequence[Event], ends: Sequence[Event]) -> list[str]:
    """Say how many samples of the loads are not there; their ends tell how many were handed over."""
    ids = {start.get("load_id") for start in starts}
    problems = []
    for end in ends:
        if end.get("load_id") not in ids or end.get("rows") is None:
            continue
        there = sum(len(rows) for rows in _series(timeline, str(end["load_id"])))
        if there != end["rows"]:
            problems.append(f"{there} samples of the load are there, {end['rows']} were taken")
    return problems
