"""From a planned outage of a control target to what each product series is thereby proved to see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.clock import RunClock
from core.files import append_line
from probes.series import SeriesConfig
from slas.calibration import CalibrationResult, calibrate
from slas.samples import SampleColumns
from slas.timeline import Timeline

# Samples this long before and after the outage are looked at: good ones must frame it.
_AROUND_S = 0.5


def calibrate_run(
    run_dir: Path,
    clock: RunClock,
    configs: Sequence[SeriesConfig],
    truth: Mapping[str, Any],
    witness: Callable[[SeriesConfig], str],
) -> tuple[list[dict[str, Any]], bool]:
    """Judge the series of a target that was out against the truth, and state it for each product series.

    `witness` names the series that probed that target in the same way as a product series: the same kind
    of connection, rate, vantage and path. What it sees, that series sees. Returns the events
    calibration.result (not yet appended), and whether a witness was blind then, which excuses a miss.
    """
    timeline = Timeline.load(run_dir)
    start_s, end_s = truth["start_s"], truth["end_s"]
    around_s = _AROUND_S + truth.get("bound_s", 0.0)
    blind = {
        series: [span for span in spans if span[0] < end_s + around_s and span[1] > start_s - around_s]
        for series, spans in timeline.blind_by_series({witness(config) for config in configs}).items()
    }
    results: dict[str, CalibrationResult] = {}
    for config in configs:
        control = witness(config)
        if control not in results:
            results[control] = calibrate(
                control,
                _between(timeline.samples.get(control), start_s - around_s, end_s + around_s),
                truth_start_s=start_s,
                truth_end_s=end_s,
                placed_within_s=truth.get("bound_s", 0.0),
                rate=config.rate,
                slow_s=config.slow_ms / 1000,
                blind=blind[control],
            )
    events = []
    for config in configs:
        control = witness(config)
        said = {**results[control].as_event(), "series": config.series, "by": control, "mode": truth["mode"]}
        events.append({"t": clock.now(), "kind": "calibration.result", "rate": config.rate, **said})
    return events, any(blind.values())


def failed_run(
    clock: RunClock,
    configs: Sequence[SeriesConfig],
    mode: str,
    reason: str,
    witness: Callable[[SeriesConfig], str],
) -> list[dict[str, Any]]:
    """Return the events calibration.result of an outage that could not be had."""
    return [
        {
            "t": clock.now(),
            "kind": "calibration.result",
            "rate": config.rate,
            "series": config.series,
            "by": witness(config),
            "mode": mode,
            "found": False,
            "resolution_s": None,
            "truth_s": 0.0,
            "bracket": {"lower": 0.0, "upper": 0.0},
            "reason": reason,
        }
        for config in configs
    ]


def append_results(run_dir: Path, clock: RunClock, events: Sequence[Mapping[str, Any]]) -> None:
    """Write the events calibration.result into the timeline, and what they amount to: run.resolution.

    That is the smallest outage that every series is proved to see, or null if one of them is not.
    """
    for event in events:
        append_line(run_dir / "events.jsonl", event)
    lengths = {event["series"]: event["resolution_s"] if event["found"] else None for event in events}
    known = [length for length in lengths.values() if length is not None]
    smallest = max(known) if known and len(known) == len(lengths) else None
    append_line(
        run_dir / "events.jsonl",
        {"t": clock.now(), "kind": "run.resolution", "resolution_s": smallest, "series": lengths},
    )


def _between(samples: SampleColumns | None, start_s: float, end_s: float) -> SampleColumns:
    if samples is None:
        return SampleColumns.of([])
    return samples.take(np.flatnonzero((samples.sent_s > start_s) & (samples.sent_s < end_s)))
