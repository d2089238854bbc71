"""Releases in a window: how each began, ended and came to serve, and the state before and after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from slas.expectations import Expectation
from slas.timeline import Event, Timeline


@dataclass(frozen=True, kw_only=True)
class Release:
    """One release of a service: its events, None for what did not happen in the window.

    `servings` are all announcements of a serving revision from its start to the next release's; `serving`
    is the first that is the release's own revision.
    """

    started_s: float
    ended: Event | None
    serving: Event | None
    servings: Sequence[Event]

    def as_json(self) -> dict[str, Any]:
        """Return the record as the evidence of a verdict holds it."""
        return {
            "started_s": self.started_s,
            "ended": dict(self.ended) if self.ended else None,
            "serving": dict(self.serving) if self.serving else None,
        }


def releases_of(timeline: Timeline, expectation: Expectation, *, actions: Sequence[str]) -> list[Release]:
    """Return the releases that `details` name and that started in the window, in order."""
    start_s, end_s = expectation.start_s, expectation.end_s
    service = service_of(expectation)
    wanted = expectation.details.get("revision")
    action = expectation.details.get("action")
    started = [
        event
        for event in timeline.of_kind("release.started", start_s=start_s, end_s=end_s, service=service)
        if event.get("action") in ((action,) if action else actions)
    ]
    releases = []
    for index, event in enumerate(started):
        until_s = float(started[index + 1]["t"]) if index + 1 < len(started) else end_s
        span = {"start_s": event["t"], "end_s": until_s, "service": service}
        ended = first(timeline.of_kind("release.ended", **span, action=event["action"]))
        servings = tuple(timeline.of_kind("release.serving", **span))
        revision = event.get("revision") or (ended or {}).get("revision") or wanted
        if wanted is not None and str(revision) != str(wanted):
            continue
        own = (one for one in servings if revision is None or str(one.get("revision")) == str(revision))
        releases.append(
            Release(started_s=float(event["t"]), ended=ended, serving=first(own), servings=servings)
        )
    return releases


def service_of(expectation: Expectation) -> str:
    """Return the service that an expectation is about: `details.service`, else the subject."""
    return str(expectation.details.get("service") or expectation.subject)


def first(events: Iterable[Event]) -> Event | None:
    """Return the first event, None of none."""
    return next(iter(events), None)
