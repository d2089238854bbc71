"""The abort condition: it trips when the load shows too much for long enough, and not before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.files import append_line
from fixtures.chaos.aborting import AbortWatch
from fixtures.chaos.scenario_model import Abort

ERRORS = Abort.model_validate({"sla": "error_ratio", "beyond": "50%", "for": "3s"})
GOOD = {"requests": 10, "failures": 0, "offered": 10, "p95_ms": 20.0}
BAD = {"requests": 10, "failures": 6, "offered": 10, "p95_ms": 900.0}
HANGING = {"requests": 0, "failures": 0, "offered": 10, "p95_ms": None}


def seconds(file: Path, *shown: dict[str, Any], from_s: float = 1.0, load_id: str = "l1") -> None:
    for number, one in enumerate(shown):
        event = {"t": from_s + number, "kind": "load.second", "load_id": load_id, "span_s": 1.0, **one}
        append_line(file, event)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    file = tmp_path / "events.jsonl"
    seconds(file, *[BAD] * 5)  # of before: none of this scenario's
    return file


@pytest.mark.parametrize("bad", [BAD, HANGING])
def test_it_trips_after_the_time_it_must_last(events: Path, bad: dict[str, Any]) -> None:
    """Failing or hanging, two seconds are too few and three are enough; the reason stays."""
    watch = AbortWatch(events, "l1", ERRORS)
    assert watch() is None
    seconds(events, GOOD, bad, bad, from_s=10)
    assert watch() is None
    seconds(events, bad, GOOD, from_s=13)
    assert "error_ratio beyond 50% for 3 s" in str(watch())
    assert watch() == watch()


def test_a_good_second_between_lets_it_begin_anew(events: Path) -> None:
    """So do seconds of another load count for nothing."""
    watch = AbortWatch(events, "l1", ERRORS)
    seconds(events, BAD, BAD, GOOD, BAD, BAD, from_s=10)
    seconds(events, *[BAD] * 9, from_s=15, load_id="another")
    assert watch() is None


def test_a_latency_can_end_it_too(events: Path) -> None:
    """By the second's own percentile."""
    watch = AbortWatch(
        events, "l1", Abort.model_validate({"sla": "latency_p95", "beyond": "500ms", "for": "2s"})
    )
    seconds(events, GOOD, BAD, BAD, from_s=10)
    assert "latency_p95 beyond 500ms" in str(watch())


def test_a_line_that_is_being_written_is_read_when_it_is_whole(events: Path) -> None:
    """Half a line is no event yet."""
    watch = AbortWatch(events, "l1", ERRORS)
    event = json.dumps({"t": 13.0, "kind": "load.second", "load_id": "l1", "span_s": 5.0, **BAD})
    with events.open("a") as file:
        file.write(event[:40])
    assert watch() is None
    with events.open("a") as file:
        file.write(event[40:] + "\n")
    assert watch()
