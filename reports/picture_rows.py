"""Rows of the picture that sum something up: phases of a fault, replicas that serve, requests of the load."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

Events = Sequence[Mapping[str, Any]]
Across = Callable[[float], float]  # from a moment (Unix s) to pixels

GREEN, ORANGE, RED = "#4caf50", "#ff9800", "#d32f2f"
# Pale, since the marks of the phases stand on them.
FAULTY, RECOVERING = "#ffcdd2", "#ffe0b2"
_APP = "app.kubernetes.io/name"
_HEIGHT = 16


def fault_spans(events: Events, x: Across, end_s: float) -> str:
    """Draw one fault's phases: from its injection to its healing, and from there to the recovery."""
    moments = {str(event["kind"]): float(event["t"]) for event in events}
    injected_s = moments.get("fault.injected")
    if injected_s is None or "fault.failed" in moments:
        return ""
    healed_s = moments.get("fault.healed", end_s)
    bars = _bar(x, injected_s, healed_s, FAULTY, "fault")
    if "fault.healed" in moments:
        bars += _bar(x, healed_s, moments.get("fault.recovered", end_s), RECOVERING, "recovery")
    return bars


def replicas(events: Events, x: Across, start_s: float, end_s: float) -> list[tuple[str, str]]:
    """Return a row per application whose number of ready replicas changed: how many there were, and when."""
    by_app: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        app = (event.get("labels") or {}).get(_APP) if event["kind"] == "k8s.pod" else None
        if app:
            by_app.setdefault(str(app), []).append(event)
    rows = []
    for app, changes in sorted(by_app.items()):
        steps = _steps(changes, start_s)
        counts = {count for _, count in steps}
        if len(counts) > 1:
            rows.append((f"replicas {app}", _counted(steps, x, end_s, max(counts))))
    return rows


def _steps(changes: Events, start_s: float) -> list[tuple[float, int]]:
    """Return since when how many replicas were ready; all that was before counts from the start."""
    ready: set[str] = set()
    steps: list[tuple[float, int]] = []
    for event in changes:
        name = str(event.get("uid") or event["name"])
        serves = event["type"] != "DELETED" and event.get("ready") and not event.get("deleting")
        (ready.add if serves else ready.discard)(name)
        moment_s = max(float(event["t"]), start_s)
        # The watcher's first sight of the pods is one moment, not a rise from none.
        if steps and (moment_s - steps[-1][0] < 0.05 or (event["type"] == "ADDED" and len(steps) == 1)):
            steps[-1] = (steps[-1][0], len(ready))
        elif not steps or steps[-1][1] != len(ready):
            steps.append((moment_s, len(ready)))
    return steps


def _counted(steps: Sequence[tuple[float, int]], x: Across, end_s: float, most: int) -> str:
    parts = []
    for (from_s, count), (until_s, _) in itertools.pairwise([*steps, (end_s, 0)]):
        colour = GREEN if count == most else ORANGE if count else RED
        parts.append(_bar(x, from_s, until_s, colour, f"{count} ready"))
        if x(until_s) - x(from_s) >= 10:
            parts.append(f'<text x="{x(from_s) + 3:.1f}" y="15" fill="#ffffff">{count}</text>')
    return "".join(parts)


def load(events: Events, x: Across, start_s: float) -> str:
    """Draw the load second by second: as high as its requests, red for those that failed."""
    seconds = [event for event in events if event["kind"] == "load.second" and event["t"] > start_s]
    most = max((int(event["requests"]) for event in seconds), default=0)
    if not most:
        return ""
    parts = []
    for event in seconds:
        until_s = float(event["t"])
        from_s = max(until_s - float(event.get("span_s") or 1.0), start_s)
        requests, failures = int(event["requests"]), int(event["failures"])
        words = f"{requests} requests, {failures} failed"
        for count, colour in ((requests, GREEN), (failures, RED)):
            # What failed is seen, however little it is.
            height = max(_HEIGHT * count / most, 2.0 if count else 0.0)
            parts += [_bar(x, from_s, until_s, colour, words, height=height)] if count else []
    return "".join(parts)


def grouped(events: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the events of faults by the name of their row; a fault that came again has a number."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    names: dict[str, str] = {}
    for event in events:
        fault_id, fault = str(event.get("fault_id") or ""), str(event.get("fault") or "")
        if fault_id not in names:
            name = f"fault {fault}" if fault_id else "fault"
            same = sum(known == name or known.startswith(f"{name} #") for known in names.values())
            names[fault_id] = f"{name} #{same + 1}" if same else name
        rows.setdefault(names[fault_id], []).append(event)
    return rows


def _bar(
    x: Across, from_s: float, until_s: float, colour: str, title: str, *, height: float = _HEIGHT
) -> str:
    width = max(x(until_s) - x(from_s), 1.0)
    return (
        f'<rect x="{x(from_s):.1f}" y="{3 + _HEIGHT - height:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" fill="{colour}"><title>{escape(title)}</title></rect>'
    )
