"""What the probes of a window are worth as evidence: which series, how dense, at which resolution."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slas.downtime import Downtime, measure
from slas.expectations import Expectation
from slas.outages import STALL, find_outages
from slas.samples import RUNNER, SampleColumns
from slas.series import SeriesName
from slas.spans import spans_of
from slas.timeline import Event, Timeline

# Below this share of the scheduled probes, what is missing may hide what matters.
MIN_COVERAGE = 0.99
_SLOW_MS = 250.0
# Targets of the harness's own: one behind a Service as the product is, one on the runner itself.
CALIBRATION, CONTROL = "calibration", "control"


@dataclass(frozen=True, kw_only=True)
class Probing:
    """The series that an expectation is about, in its window.

    `problems` say why the evidence is too thin for a claim that all was well; they never excuse a failure
    that was seen. `rate` (probes per second) and `slow_s` are by series; `coverage` is a ratio.
    """

    start_s: float
    end_s: float
    samples: Mapping[str, SampleColumns]
    rate: Mapping[str, float]
    slow_s: Mapping[str, float]
    coverage: Mapping[str, float]
    problems: Sequence[str]

    def downtime(self, timeline: Timeline, resolution_s: float | None) -> Downtime:
        """Measure the downtime in the window."""
        return measure(
            self.samples,
            start_s=self.start_s,
            end_s=self.end_s,
            slow_s=self.slow_s,
            rate=self.rate,
            resolution_s=resolution_s or 0.0,
            blind=timeline.blind_by_series(self.samples),
            placed_within_s={
                name: timeline.clock_error_s(name, self.start_s, self.end_s) for name in self.samples
            },
        )

    def as_json(self) -> dict[str, Any]:
        """Return the record as the evidence of a verdict holds it."""
        return {
            "coverage": {name: round(share, 5) for name, share in self.coverage.items()},
            "rate": dict(self.rate),
            "slow_ms": {name: round(slow * 1000, 3) for name, slow in self.slow_s.items()},
        }


def series_of(timeline: Timeline, expectation: Expectation) -> list[str]:
    """Return the names of the series to judge.

    They are `details.series` (a name or a list), else every series of the target that is the subject.
    """
    named = expectation.details.get("series")
    if named:
        return [named] if isinstance(named, str) else [str(name) for name in named]
    started = {str(event.get("series")) for event in timeline.of_kind("probe.started")}
    prefix = f"{expectation.subject}/"
    return sorted(name for name in started | set(timeline.samples) if name.startswith(prefix))


def probing_of(timeline: Timeline, expectation: Expectation) -> Probing:
    """Collect the probes that an expectation is about."""
    start_s, end_s = expectation.start_s, expectation.end_s
    names = series_of(timeline, expectation)
    problems = [] if names else [f"no probe series of {expectation.subject} in this run"]
    samples: dict[str, SampleColumns] = {}
    rate: dict[str, float] = {}
    slow_s: dict[str, float] = {}
    coverage: dict[str, float] = {}
    for name in names:
        columns = samples[name] = timeline.samples.get(name) or SampleColumns.of([])
        started = _last(timeline.of_kind("probe.started", end_s=end_s, series=name))
        given = started.get("rate") or expectation.details.get("rate")
        looks = len(in_window(columns, start_s, end_s))
        rate[name] = float(given) if given else max(looks, 1) / (end_s - start_s)
        slow_ms = started.get("slow_ms") or expectation.details.get("slow_ms") or _SLOW_MS
        slow_s[name] = float(slow_ms) / 1000
        # The ticks at the window's very edges may fall on either side.
        due = max(1.0, rate[name] * (end_s - start_s) - 1)
        coverage[name] = min(1.0, looks / due)
        if not looks:
            problems.append(f"no samples of {name} in the window")
        elif not given:
            problems.append(f"the scheduled rate of {name} is unknown, and with it the coverage")
        elif coverage[name] < MIN_COVERAGE:
            problems.append(f"{name} has {coverage[name]:.1%} of its scheduled samples")
    return Probing(
        start_s=start_s,
        end_s=end_s,
        samples=samples,
        rate=rate,
        slow_s=slow_s,
        coverage=coverage,
        problems=tuple(problems),
    )


def unproved_resolution(timeline: Timeline, expectation: Expectation, series: str) -> str | None:
    """Say why a series is not proved to see outages of the expectation's `resolution_s`; None if it is.

    The proof is a calibration of the series itself, else of the target `calibration` over the same kind of
    connection from the same vantage. The target `control`, which no path of the product leads to, counts
    only in a run without the other. The last result of each mode since the series was started counts.
    """
    bound = expectation.resolution_s
    if bound is None:
        return "the expectation names no resolution"
    results = _calibrations(timeline, expectation, series)
    if not results:
        return f"no calibration proved the resolution of {series}"
    if missed := missed_calibration(timeline, expectation, series):
        return missed
    for result in _last_of_each_mode(results):
        if float(result["resolution_s"]) > bound:
            return f"{series} is proved to resolve {result['resolution_s']:.3f} s, not {bound:g} s"
    return None


def missed_calibration(timeline: Timeline, expectation: Expectation, series: str) -> str | None:
    """Say which calibration of a series did not find its outage; None if each did, or there was none."""
    for result in _last_of_each_mode(_calibrations(timeline, expectation, series)):
        if result.get("found") is not True or result.get("resolution_s") is None:
            return f"the calibration of {series} failed: {result.get('reason') or 'outage not found'}"
    return None


def _last_of_each_mode(results: Iterable[Event]) -> Iterable[Event]:
    return {str(result.get("mode")): result for result in results}.values()


def _calibrations(timeline: Timeline, expectation: Expectation, series: str) -> list[Event]:
    starts = [float(event["t"]) for event in timeline.of_kind("probe.started", series=series)]
    began_s = max((start_s for start_s in starts if start_s <= expectation.end_s), default=-math.inf)
    next_s = min((start_s for start_s in starts if start_s > expectation.end_s), default=math.inf)
    results = list(timeline.of_kind("calibration.result", start_s=began_s, end_s=next_s))
    name = SeriesName.parse(series)
    if any(CALIBRATION in _witnesses(result) for result in results):
        results = [result for result in results if CONTROL not in _witnesses(result)]
    for candidate in (series, name.at(CALIBRATION), name.at(CONTROL)):
        found = [result for result in results if result.get("series") == candidate]
        if found:
            return found
    return []


def _witnesses(result: Event) -> set[str]:
    """Return the targets that a calibration speaks of, and by which of ours it knows."""
    return {SeriesName.parse(str(result.get(field))).target for field in ("series", "by")}


def in_window(columns: SampleColumns, start_s: float, end_s: float) -> SampleColumns:
    """Return the samples scheduled in a span, without retries and the runner's own failures."""
    low, high = np.searchsorted(columns.scheduled_s, [start_s, end_s])
    inside = columns.take(slice(int(low), int(high)))
    return inside.without(inside.retry | (inside.outcome == RUNNER))


def failed_in_window(timeline: Timeline, probing: Probing) -> tuple[int, int]:
    """Return how many probes of the window got no good answer, and how many were sent; stalls are good."""
    failed = looks = 0
    blind = timeline.blind_by_series(probing.samples)
    for name, columns in probing.samples.items():
        found = find_outages(
            name,
            in_window(columns, probing.start_s, probing.end_s),
            slow_s=probing.slow_s[name],
            gap_s=math.inf,
            blind=spans_of(blind[name]),
        )
        looks += len(found.looks)
        failed += int(np.count_nonzero((found.kind >= 0) & (found.kind != STALL)))
    return failed, looks


def _last(events: Iterable[Event]) -> Event:
    found: Event = {}
    for event in events:
        found = event
    return found
