"""Blind spans: when the runner, not the product, was what did not answer.

Two witnesses: the control target, which lies outside the system under test and never fails but on
purpose, and the ticks themselves, which stop while this machine or process is frozen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.sample import Sample

CONTROL = "control"
# From where a series looks. What follows @ in its name; the runner's have none.
RUNNER, CLUSTER = "runner", "cluster"
# A healthy runner answers itself within a millisecond; past this it could have missed something.
BLIND_AFTER_S = 0.05
# How long a span waits for the control target to say that it was planned.
_DECIDE_AFTER_S = 1.0
_MARGIN_S = 0.01


@dataclass(frozen=True, kw_only=True)
class Span:
    """From `start_s` to `end_s` (Unix seconds) nothing can be known, for this reason."""

    start_s: float
    end_s: float
    reason: str

    def as_event(self, now_s: float, vantage: str = RUNNER) -> dict[str, Any]:
        """Return the event `control.blind`: it concerns the series of that vantage."""
        return {
            "t": now_s,
            "kind": "control.blind",
            "vantage": vantage,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "reason": self.reason,
        }


class BlindWatch:
    """Turns the control series' samples into blind spans, leaving out the outages that were planned.

    Feed it batches in any order of completion; ask `decided` now and then. `events` is the log in which
    the outages are announced; None: there are none.
    """

    def __init__(self, events: Path | None) -> None:
        self._events = events
        self._last_good_s: dict[str, float] = {}
        self._failing: dict[str, tuple[float, str]] = {}
        self._pending: list[Span] = []

    def feed(self, samples: Iterable[Sample]) -> None:
        """Take finished samples, sorted by the time they were scheduled; those of products are ignored."""
        for sample in samples:
            series = sample.series
            if sample.retry or not series.startswith(f"{CONTROL}/"):
                continue
            if sample.outcome != "ok":
                start_s = max(self._last_good_s.get(series, sample.sent_s), sample.sent_s - 1.0)
                self._failing.setdefault(
                    series, (start_s, f"control target: {sample.outcome} {sample.error}")
                )
                continue
            failing = self._failing.pop(series, None)
            if failing:
                self._pending.append(Span(start_s=failing[0], end_s=sample.finished_s, reason=failing[1]))
            elif sample.finished_s - sample.sent_s > BLIND_AFTER_S:
                took_ms = (sample.finished_s - sample.sent_s) * 1000
                self._pending.append(
                    Span(
                        start_s=sample.sent_s,
                        end_s=sample.finished_s,
                        reason=f"control target: answer took {took_ms:.0f} ms",
                    )
                )
            self._last_good_s[series] = sample.sent_s

    def decided(self, now_s: float, *, final: bool = False) -> list[Span]:
        """Return the spans that are certain by now; `final` also closes and decides what is still open."""
        if final:
            self._pending += [
                Span(start_s=start, end_s=now_s, reason=why) for start, why in self._failing.values()
            ]
            self._failing.clear()
        ripe = [span for span in self._pending if final or now_s - span.end_s > _DECIDE_AFTER_S]
        if not ripe:
            return []
        self._pending = [span for span in self._pending if span not in ripe]
        planned = planned_outages(self._events, now_s) if self._events else []
        return [
            span
            for span in ripe
            if not any(
                start - _MARGIN_S < span.end_s and span.start_s < end + _MARGIN_S for start, end in planned
            )
        ]


def vantage_of(series: str) -> str:
    """Return from where a series looks."""
    return series.rpartition("/")[2].partition("@")[2] or RUNNER


def planned_outages(events: Path, now_s: float) -> list[tuple[float, float]]:
    """Return start and end of the control target's outages; one still going on ends `now_s`."""
    if not events.exists():
        return []
    done: list[tuple[float, float]] = []
    armed: list[Mapping[str, Any]] = []
    with events.open("rb") as lines:
        for line in lines:
            if b'"calibration.' not in line or not line.endswith(b"\n"):
                continue
            event = json.loads(line)
            if not str(event.get("series", f"{CONTROL}/")).startswith(f"{CONTROL}/"):
                continue  # of the target behind the product's kind of path
            if event["kind"] == "calibration.outage":
                done.append((event["outer_start_s"], event["outer_end_s"]))
            elif event["kind"] == "calibration.armed":
                armed.append(event)
    ends = [end for _, end in done]
    done += [(event["t"], now_s) for event in armed if not any(end > event["t"] for end in ends)]
    return done
