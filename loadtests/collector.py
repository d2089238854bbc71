"""The collector: gathers the seconds of all workers into events of the whole load."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Protocol

from loadtests.plan import Plan
from loadtests.seconds import Second
from loadtests.settings import Assignment

# A worker whose second comes later than this is missing from it.
PATIENCE_S = 1.5


class Sink(Protocol):
    """Where a load's record goes: the run's folder, or an outbox that the harness empties."""

    def event(self, record: Mapping[str, Any]) -> None:
        """Record an event."""

    def samples(self, lines: bytes) -> None:
        """Record samples, JSON lines; returns at once."""

    def note(self, note: Mapping[str, Any]) -> None:
        """Tell the harness something."""

    def close(self) -> None:
        """Hand over what is left (blocking)."""


class Collector:
    """Writes `load.started`, a `load.second` for each second of the plan, and `load.ended`."""

    def __init__(self, assignment: Assignment, sink: Sink) -> None:
        self._assignment, self._sink = assignment, sink
        self._plan: Plan = assignment.settings.plan
        self._workers = assignment.settings.workers
        self._start_s = 0.0
        self._end_s = float("inf")
        self._next = 0
        self._seconds: defaultdict[int, dict[int, Second]] = defaultdict(dict)
        self._finals: dict[int, Mapping[str, Any]] = {}
        self.requests = self.failures = 0
        self.journey_error: str | None = None

    def announce(self, now_s: float) -> None:
        """Write `load.started`, before the first user starts."""
        settings = self._assignment.settings
        self._append(
            "load.started",
            now_s,
            workers=self._workers,
            users=settings.all_users,
            rate=self._plan.peak_rate,
            arrivals=round(self._plan.arrivals),
            timeout_s=settings.request_timeout_s,
            samples=True,
        )

    def begin(self, start_s: float) -> None:
        """Set the plan's first moment."""
        self._start_s = start_s

    def end(self, end_s: float) -> None:
        """Set the moment from which no request is due any more."""
        self._end_s = end_s

    def add(self, worker: int, message: Mapping[str, Any]) -> None:
        """Take one worker's second, with its number under `number`."""
        message = dict(message)
        # What comes after its second was written counts in the next one, so that sums stay true.
        number = max(int(message.pop("number")), self._next)
        second = Second.of_message(message)
        self.requests += second.requests
        self.failures += second.failures
        mine = self._seconds[number]
        if worker in mine:
            mine[worker].add(second)
        else:
            mine[worker] = second

    def done(self, worker: int, final: Mapping[str, Any]) -> None:
        """Take one worker's last word."""
        self._finals[worker] = final
        self.journey_error = self.journey_error or final.get("error")

    @property
    def all_done(self) -> bool:
        """Tell whether every worker has said its last word."""
        return len(self._finals) >= self._workers

    def flush(self, now_s: float, master_cpu: float = 0.0, *, final: bool = False) -> None:
        """Write the seconds that are whole, or overdue; with `final` all that is left."""
        while self._start_s:
            end_s = self._start_s + self._next + 1
            present = self._seconds.get(self._next, {})
            ripe = len(present) >= self._workers and now_s >= end_s
            if not (ripe or now_s > end_s + PATIENCE_S or (final and self._seconds)):
                return
            self._write(self._seconds.pop(self._next, {}), min(end_s, now_s), master_cpu)

    def _write(self, present: Mapping[int, Second], end_s: float, master_cpu: float) -> None:
        whole = Second(cpu=master_cpu)
        for second in present.values():
            whole.add(second)
        start_s = self._start_s + self._next
        due_s = min(end_s, self._end_s) - self._start_s
        self._append(
            "load.second",
            end_s,
            **whole.as_event(),
            offered=round(max(0.0, self._plan.offered(due_s) - self._plan.offered(self._next)), 3),
            workers=len(present),
            span_s=round(max(end_s - start_s, 0.0), 3),
        )
        self._next += 1
        if whole.requests:
            self._sink.note({"flowing": end_s, "requests": self.requests, "failures": self.failures})

    def conclude(self, now_s: float, reason: str, error: str | None = None) -> dict[str, Any]:
        """Write what is left and `load.ended`, and return its fields."""
        self.flush(now_s, final=True)
        # Of a load that never began, no worker owes a last word.
        lost = self._workers - len(self._finals) if self._start_s else 0
        if lost:
            error = error or f"{lost} of {self._workers} workers never reported their end"
        error = error or self.journey_error
        if not self.requests:
            error = error or "no request was sent"
        fields = {
            "exit_code": 3 if error else 0,
            "requests": self.requests,
            "failures": self.failures,
            "rows": sum(int(final["rows"]) for final in self._finals.values()),
            "unsent": sum(int(final["unsent"]) for final in self._finals.values()),
            "workers_lost": lost,
            # From the first moment of the plan to the one from which nothing was due.
            "start_s": self._start_s,
            "end_s": min(self._end_s, now_s),
            "reason": reason,
            **({"error": error} if error else {}),
        }
        self._append("load.ended", now_s, **fields)
        return fields

    def _append(self, kind: str, moment_s: float, **fields: object) -> None:
        self._sink.event({"t": moment_s, "kind": kind, "load_id": self._assignment.load_id, **fields})
