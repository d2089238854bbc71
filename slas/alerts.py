"""Alerts of a run: when each began to fire, and until when it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slas.expectations import Expectation
from slas.timeline import Event, Timeline


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One time that an alert fired, from `fired_s` to `resolved_s` (None: it still fired at the run's end).

    `not_before_s` is when it was last seen silent; without such a look it equals `fired_s`.
    """

    name: str
    labels: Mapping[str, Any]
    not_before_s: float
    fired_s: float
    resolved_s: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the record as the evidence of a verdict holds it."""
        return {
            "alert": self.name,
            "labels": dict(self.labels),
            "not_before_s": self.not_before_s,
            "fired_s": self.fired_s,
            "resolved_s": self.resolved_s,
        }


def alerts_of(timeline: Timeline, expectation: Expectation) -> list[Alert]:
    """Return the alerts that an expectation is about, in the order of firing, whenever they fired.

    `details.alert` names one (else any counts), `details.labels` narrows them down; one that names another
    subject is another's. An alert that is told to fire while it fires is the same one.
    """
    wanted = expectation.details.get("alert")
    labels = expectation.details.get("labels") or {}
    open_since: dict[object, Event] = {}
    alerts: list[Alert] = []
    for event in timeline.of_kind("alert.firing", "alert.resolved"):
        found = event.get("labels") or {}
        if (
            (wanted is not None and event.get("alert") != wanted)
            or event.get("subject") not in (None, expectation.subject)
            or any(found.get(name) != value for name, value in labels.items())
        ):
            continue
        key = (event.get("alert"), tuple(sorted((str(name), str(value)) for name, value in found.items())))
        if event["kind"] == "alert.firing":
            open_since.setdefault(key, event)
        elif key in open_since:
            alerts.append(_alert(open_since.pop(key), float(event["t"])))
    alerts += [_alert(event, None) for event in open_since.values()]
    return sorted(alerts, key=lambda alert: alert.fired_s)


def unwatched(timeline: Timeline) -> list[tuple[float, float]]:
    """Return the spans (start_s, end_s) in which nobody could see the alerts."""
    return [(float(event["start_s"]), float(event["end_s"])) for event in timeline.of_kind("alert.gap")]


def _alert(firing: Event, resolved_s: float | None) -> Alert:
    fired_s = float(firing["t"])
    return Alert(
        name=str(firing.get("alert")),
        labels=firing.get("labels") or {},
        not_before_s=min(fired_s, float(firing.get("not_before_s", fired_s))),
        fired_s=fired_s,
        resolved_s=resolved_s,
    )
