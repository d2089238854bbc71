"""The timeline: everything that happened in a run, on one clock, as read back from its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slas.samples import SampleColumns
from slas.segments import read_segments, unfinished
from slas.series import RUNNER, SeriesName

Event = Mapping[str, Any]
# The bound of a clock elsewhere is stated at least this often.
_CLOCK_STATED_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Events in the order of time, samples by series, and notes of what could not be read.

    `damage` are those notes that a kill does not account for, which leaves a torn last line and an unfinished
    segment: what is missing then may be anything, so that nothing passes.
    """

    events: Sequence[Event]
    samples: Mapping[str, SampleColumns]
    notes: Sequence[str] = field(default_factory=tuple)
    damage: Sequence[str] = field(default_factory=tuple)

    @classmethod
    def load(cls, run_dir: Path) -> Timeline:
        """Read `events.jsonl` and `samples/` of a run, also of a killed one.

        Torn lines and segments are left out and noted; what they held is then missing, never assumed.
        """
        events, torn, ruined = _read_events(run_dir / "events.jsonl")
        samples, lost = read_segments(run_dir / "samples")
        counted = {
            str(event.get("series"))
            for event in events
            if event["kind"] == "probe.ended" and event.get("sent")
        }
        absent = [f"samples: none of {name} is left" for name in sorted(counted - samples.keys())]
        return cls.of(
            events=events,
            samples=samples,
            notes=[*torn, *ruined, *unfinished(run_dir / "samples"), *lost],
            damage=[*ruined, *lost, *absent],
        )

    @classmethod
    def of(
        cls,
        *,
        events: Sequence[Event] = (),
        samples: Mapping[str, SampleColumns] | None = None,
        notes: Sequence[str] = (),
        damage: Sequence[str] = (),
    ) -> Timeline:
        """Build from what is in memory."""
        ordered = sorted(events, key=lambda event: float(event["t"]))
        return cls(
            events=tuple(ordered), samples=dict(samples or {}), notes=tuple(notes), damage=tuple(damage)
        )

    def of_kind(
        self, *kinds: str, start_s: float = float("-inf"), end_s: float = float("inf"), **wanted: object
    ) -> Iterator[Event]:
        """Yield the events of these kinds in a span (both ends included) whose fields equal `wanted`."""
        for event in self.events:
            if (
                event["kind"] in kinds
                and start_s <= event["t"] <= end_s
                and all(event.get(name) == value for name, value in wanted.items())
            ):
                yield event

    def blind_spans(self, vantage: str = RUNNER) -> list[tuple[float, float]]:
        """Return the spans (start_s, end_s) in which a vantage itself could not see."""
        return [
            (float(event["start_s"]), float(event["end_s"]))
            for event in self.of_kind("control.blind")
            if (event.get("vantage") or RUNNER) == vantage
        ]

    def clock_error_s(self, series: str, start_s: float, end_s: float) -> float:
        """Return how wrong the times of a series may be: the worst bound of its vantage's clock near a span.

        Zero on the runner, whose clock is the run's.
        """
        vantage = SeriesName.parse(series).vantage
        stated = list(self.of_kind("probe.clock", end_s=end_s + _CLOCK_STATED_S, vantage=vantage))
        near = [event for event in stated if event["t"] >= start_s - _CLOCK_STATED_S]
        return max((float(event["bound_s"]) for event in near or stated[-1:]), default=0.0)

    def blind_by_series(self, series: Iterable[str]) -> dict[str, list[tuple[float, float]]]:
        """Return for each series the spans in which the place that it is seen from was blind."""
        return {name: self.blind_spans(SeriesName.parse(name).vantage) for name in series}


def _read_events(path: Path) -> tuple[list[Event], list[str], list[str]]:
    """Return the events, a note on a torn last line, and notes on what else is no event."""
    events: list[Event] = []
    ruined: list[str] = []
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return events, [f"{path.name}: missing"], []
    except OSError as error:
        return events, [], [f"{path.name}: unreadable: {error.strerror}"]
    *lines, last = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        event = _event(line)
        if event is None:
            ruined.append(f"{path.name}: line {number} is torn or no event, left out")
        else:
            events.append(event)
    torn = [f"{path.name}: line {len(lines) + 1} is torn, left out"] if last else []
    return events, torn, ruined


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
        known = isinstance(event["kind"], str) and isinstance(event["t"], int | float)
        return event if known and math.isfinite(event["t"]) else None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
