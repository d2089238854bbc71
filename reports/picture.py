"""A picture of a span of a run on one axis: probes, load, releases, faults, alerts, replicas and pods.

A self-made SVG without scripts, so that it can be attached anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from reports.picture_rows import fault_spans, grouped, load, replicas

WIDTH, LEFT, ROW, TOP = 1000, 190, 24, 40
PLOT = WIDTH - LEFT - 10
LABEL = 58  # pixels that the longest phase name takes
GREEN, ORANGE, RED, GREY, BLUE, INK = "#4caf50", "#ff9800", "#d32f2f", "#bdbdbd", "#5c6bc0", "#333333"
COLOURS = {"good": GREEN, "blind": GREY, "stall": ORANGE, "bad": RED}  # from the best to the worst
POD_COLOURS = {"ready": GREEN, "not ready": ORANGE, "deleting": GREY}
PHASES = {
    "fault.selected": "selected",
    "fault.injected": "injected",
    "fault.proved": "proved",
    "fault.failed": "failed",
    "fault.healing": "healing",
    "fault.healed": "healed",
    "fault.gone": "gone",
    "fault.recovered": "recovered",
    "fault.aborted": "aborted",
    "fault.unrecovered": "unrecovered",
    "alert.firing": "firing",
    "alert.resolved": "resolved",
    "release.started": "started",
    "release.ended": "ended",
    "release.serving": "serving",
}
_ALARMING = {"fault.failed", "fault.unrecovered", "fault.aborted", "alert.firing"}


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series of samples, in step: when sent (Unix s) and whether good, a stall, failed or blind."""

    sent_s: npt.NDArray[np.float64]
    state: npt.NDArray[np.str_]  # "good", "stall", "bad" or "blind"


def draw(
    events: Iterable[Mapping[str, Any]],
    samples: Mapping[str, Series],
    start_s: float,
    end_s: float,
    title: str,
) -> str:
    """Return the SVG of the span from `start_s` to `end_s` (Unix seconds of the run's clock).

    A column of a series is as bad as its worst sample, and white where no sample was sent at all.
    """
    span_s = max(end_s - start_s, 1e-3)
    until = sorted((event for event in events if event["t"] <= end_s), key=lambda event: float(event["t"]))
    inside = [event for event in until if event["t"] >= start_s]
    rows = [(name, _columns(samples[name], start_s, span_s)) for name in sorted(samples)]

    def x(moment_s: float) -> float:
        return _x(moment_s, start_s, span_s)

    sent = load(inside, x, start_s)
    rows += [("load", sent)] if sent else []
    marked = [event for event in inside if event["kind"] in PHASES]
    releases = [event for event in marked if event["kind"].startswith("release")]
    rows += [("release", _marks(releases, start_s, span_s))] if releases else []
    for label, found in grouped(event for event in marked if event["kind"].startswith("fault")).items():
        rows.append((label, fault_spans(found, x, end_s) + _marks(found, start_s, span_s)))
    alerts = [event for event in marked if event["kind"].startswith("alert")]
    rows += [("alert", _marks(alerts, start_s, span_s))] if alerts else []
    rows += replicas(until, x, start_s, end_s)
    by_pod: dict[str, list[Mapping[str, Any]]] = {}
    for event in until:
        if event["kind"] == "k8s.pod":
            changes = by_pod.setdefault(str(event["name"]), [])
            if event["t"] < start_s:  # only the last state before the span matters
                changes.clear()
            changes.append(event)
    bars = [(f"pod {pod}", _pod(changes, start_s, span_s)) for pod, changes in by_pod.items()]
    rows += [(label, bar) for label, bar in bars if bar]
    height = TOP + ROW * max(len(rows), 1) + 24
    frame = f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11" fill="{INK}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {frame}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="6" y="18" font-size="14">{escape(title)}</text>',
        _axis(span_s, height),
    ]
    for number, (label, body) in enumerate(rows):
        short = label if len(label) <= 30 else f"{label[:14]}…{label[-15:]}"
        parts.append(
            f'<g transform="translate(0 {TOP + ROW * number})">'
            f'<text x="6" y="14">{escape(short)}<title>{escape(label)}</title></text>{body}</g>'
        )
    if not rows:
        parts.append(f'<text x="6" y="{TOP + 14}">nothing was recorded in this span</text>')
    return "".join(parts) + "</svg>"


def _x(moment_s: float, start_s: float, span_s: float) -> float:
    return LEFT + PLOT * (moment_s - start_s) / span_s


def _columns(series: Series, start_s: float, span_s: float) -> str:
    """Draw a series as columns, each as bad as its worst sample, and no finer than the samples are."""
    sent_s = series.sent_s
    if len(sent_s) == 0:
        return ""
    spacing_s = float(np.median(np.diff(sent_s))) if len(sent_s) > 1 else span_s
    columns = int(np.clip(span_s / max(2.5 * spacing_s, 1e-6), 1, PLOT))
    column = np.clip(np.floor((sent_s - start_s) / span_s * columns), 0, columns - 1).astype(np.int64)
    worst = np.zeros(columns, dtype=np.int64)
    for rank, state in enumerate(COLOURS, start=1):
        worst[column[series.state == state]] = rank
    edges = [0, *(int(edge) + 1 for edge in np.flatnonzero(np.diff(worst))), columns]
    bars = sorted((int(worst[left]), left, right) for left, right in itertools.pairwise(edges) if worst[left])
    scale, colours = PLOT / columns, list(COLOURS.values())
    return "".join(
        f'<rect x="{LEFT + left * scale:.1f}" y="3" height="16" '
        f'width="{max((right - left) * scale, 2):.1f}" fill="{colours[rank - 1]}"/>'
        for rank, left, right in bars
    )


def _marks(found: list[Mapping[str, Any]], start_s: float, span_s: float) -> str:
    """Draw phases as lines; one too near to the last words stays without words of its own."""
    marks, free_from = [], 0.0
    for event in found:
        x = _x(float(event["t"]), start_s, span_s)
        worded = x >= free_from
        if worded:
            free_from = x + LABEL
        marks.append(_mark(event, x, worded=worded))
    return "".join(marks)


def _mark(event: Mapping[str, Any], x: float, *, worded: bool) -> str:
    what = event.get("service") or event.get("fault") or event.get("fault_id") or event.get("alert") or ""
    colour = RED if event["kind"] in _ALARMING or event.get("ok") is False else BLUE
    label = PHASES[event["kind"]]
    anchor, shift = ("end", -3) if x > WIDTH - LABEL else ("start", 3)
    words = f'<text x="{x + shift:.1f}" y="14" text-anchor="{anchor}" fill="{colour}">{label}</text>'
    return (
        f"<g><title>{escape(f'{label} {what}')}</title>"
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="1" y2="22" stroke="{colour}" stroke-width="2"/>'
        f"{words if worded else ''}</g>"
    )


def _pod(changes: list[Mapping[str, Any]], start_s: float, span_s: float) -> str:
    bars = []
    moments = [max(float(change["t"]), start_s) for change in changes]
    for change, (from_s, until_s) in zip(
        changes, itertools.pairwise([*moments, start_s + span_s]), strict=True
    ):
        if change["type"] == "DELETED":
            continue
        state = "deleting" if change.get("deleting") else "ready" if change.get("ready") else "not ready"
        left = _x(from_s, start_s, span_s)
        width = max(_x(until_s, start_s, span_s) - left, 1)
        bars.append(
            f'<rect x="{left:.1f}" y="7" width="{width:.1f}" height="8" fill="{POD_COLOURS[state]}">'
            f"<title>{state}</title></rect>"
        )
    return "".join(bars)


def _axis(span_s: float, height: int) -> str:
    step_s = next((step for step in (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 600) if span_s / step <= 12), 3600)
    ticks = []
    for number in range(int(span_s / step_s) + 1):
        x = LEFT + PLOT * number * step_s / span_s
        ticks.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - 20}" stroke="#eeeeee"/>'
            f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle">{number * step_s:g} s</text>'
        )
    return "".join(ticks)
