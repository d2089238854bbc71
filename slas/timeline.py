"""The timeline: everything that happened in a run, on one clock, as read back from its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slas.samples import SampleColumns
from slas.segments import read_segments

Event = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Events in the order of time, samples by series, and notes of what could not be read."""

    events: Sequence[Event]
    samples: Mapping[str, SampleColumns]
    notes: Sequence[str] = field(default_factory=tuple)

    @classmethod
    def load(cls, run_dir: Path) -> Timeline:
        """Read `events.jsonl` and `samples/` of a run, also of a killed one.

        Torn lines and segments are left out and noted; what they held is then missing, never assumed.
        """
        events, notes = _read_events(run_dir / "events.jsonl")
        samples, lost = read_segments(run_dir / "samples")
        return cls.of(events=events, samples=samples, notes=[*notes, *lost])

    @classmethod
    def of(
        cls,
        *,
        events: Sequence[Event] = (),
        samples: Mapping[str, SampleColumns] | None = None,
        notes: Sequence[str] = (),
    ) -> Timeline:
        """Build from what is in memory."""
        ordered = sorted(events, key=lambda event: float(event["t"]))
        return cls(events=tuple(ordered), samples=dict(samples or {}), notes=tuple(notes))

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

    def blind_spans(self) -> list[tuple[float, float]]:
        """Return the spans (start_s, end_s) in which the runner itself could not see."""
        return [(float(event["start_s"]), float(event["end_s"])) for event in self.of_kind("control.blind")]


def _read_events(path: Path) -> tuple[list[Event], list[str]]:
    events: list[Event] = []
    notes: list[str] = []
    if not path.exists():
        return events, [f"{path.name}: missing"]
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                event = json.loads(line)
                if isinstance(event["kind"], str) and isinstance(event["t"], int | float):
                    events.append(event)
                    continue
            except (ValueError, TypeError, KeyError):
                pass
            notes.append(f"{path.name}: line {number} is torn or no event, left out")
    return events, notes
