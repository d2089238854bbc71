"""The likely cause of an outage, from what the timeline shows near it. Rules in order; the first one wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from slas.downtime import Interval
from slas.timeline import Event, Timeline

# The watcher may stamp an event this much before or after what the probes saw of it.
_NEAR_S = 2.0
# Kubernetes says that a node is lost, or a container was restarted, only some time after.
_LATE_S = 15.0
_NODE_LOSS_S = 60.0
_EVIDENCE_KEPT = 5

UNEXPLAINED = "unexplained"


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A named cause and the events that speak for it, in words."""

    name: str
    evidence: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the fields that an interval's evidence is extended by."""
        return {"cause": self.name, "because": list(self.evidence)}


def explain(timeline: Timeline, interval: Interval) -> Cause:
    """Name the likely cause of an outage; `unexplained` if no rule applies."""
    for name, rule in _RULES:
        evidence = rule(timeline, interval)
        if evidence:
            return Cause(name=name, evidence=tuple(evidence[:_EVIDENCE_KEPT]))
    return Cause(name=UNEXPLAINED, evidence=(f"{interval.samples} probes: {interval.first_error}",))


def summary(causes: Sequence[Cause]) -> str:
    """Return the causes of several outages in one phrase, the most frequent first."""
    counts = Counter(cause.name for cause in causes)
    return ", ".join(
        name if count == 1 else f"{name} ({count} times)" for name, count in counts.most_common()
    )


def _application_error(_: Timeline, interval: Interval) -> list[str]:
    if interval.kind == "status" and interval.status >= 500:
        return [f"{interval.samples} answers with status up to {interval.status}"]
    return []


def _node_lost(timeline: Timeline, interval: Interval) -> list[str]:
    span = {"start_s": interval.start_s - _NODE_LOSS_S, "end_s": interval.end_s + _LATE_S}
    said = [
        _words(timeline, event, f"{event.get('object_name')}: {event.get('reason')}")
        for event in timeline.of_kind("k8s.event", **span)
        if event.get("reason") in {"NodeNotReady", "NodeNotSchedulable"}
        or (event.get("reason") == "TaintManagerEviction" and event.get("object_kind") == "Pod")
    ]
    injected = timeline.of_kind("fault.injected", **span)
    return said + [
        _words(timeline, event, f"fault {event.get('fault')}")
        for event in injected
        if "node" in str(event.get("fault"))
    ]


def _killed_process(timeline: Timeline, interval: Interval) -> list[str]:
    start_s, end_s = interval.start_s - _NEAR_S, interval.end_s + _LATE_S
    said = [
        _words(timeline, event, f"fault {event.get('fault')}")
        for event in timeline.of_kind("fault.injected", start_s=start_s, end_s=interval.end_s)
        if any(word in str(event.get("fault")) for word in ("container", "process", "sigkill"))
    ]
    restarts: dict[object, int] = {}
    for event in _concerning(timeline, interval, "k8s.pod", end_s=end_s):
        known, now = restarts.get(event.get("uid")), int(event.get("restarts") or 0)
        if known is not None and now > known and event["t"] >= start_s:
            said.append(_words(timeline, event, f"pod {event.get('name')} restarted ({known} to {now})"))
        restarts[event.get("uid")] = now
    failed = _concerning(timeline, interval, "k8s.pod", start_s=start_s, end_s=end_s, phase="Failed")
    return said + [_words(timeline, event, f"pod {event.get('name')} failed") for event in failed]


def _no_ready_endpoint(timeline: Timeline, interval: Interval) -> list[str]:
    """Replay the EndpointSlices: which service had ready endpoints, and none at some time in the outage."""
    ready: dict[object, dict[object, int]] = {}
    empty: dict[object, str] = {}
    found: dict[object, str] = {}
    for event in _concerning(timeline, interval, "k8s.endpointslice", end_s=interval.end_s):
        if event["t"] > interval.start_s:
            found |= empty
        service = event.get("service")
        known = ready.setdefault(service, {})
        had = sum(known.values())
        endpoints = () if event.get("type") == "DELETED" else event.get("endpoints") or ()
        known[event.get("name")] = sum(bool(one.get("ready")) for one in endpoints)
        if sum(known.values()):
            empty.pop(service, None)
        elif had:
            empty[service] = _words(timeline, event, f"service {service} without a ready endpoint")
    return list((found | empty).values())


def _removed_after_sigterm(timeline: Timeline, interval: Interval) -> list[str]:
    if interval.kind not in {"refused", "reset", "truncated", "timeout"}:
        return []
    # A pod that is being deleted gets SIGTERM at once unless a preStop hook delays it.
    seen: dict[object, str] = {}
    start_s, end_s = interval.start_s - 5 * _NEAR_S, interval.end_s + _NEAR_S
    for event in _concerning(timeline, interval, "k8s.pod", start_s=start_s, end_s=end_s):
        if event.get("deleting") or event.get("type") == "DELETED":
            seen.setdefault(
                event.get("uid"), _words(timeline, event, f"pod {event.get('name')} is being deleted")
            )
    return list(seen.values())


def _reset_of_reused(_: Timeline, interval: Interval) -> list[str]:
    if interval.kind in {"reset", "truncated"} and all(one.endswith("/reused") for one in interval.series):
        return [f"{interval.samples} failed on reused connections, none on new ones"]
    return []


def _stall_under_load(timeline: Timeline, interval: Interval) -> list[str]:
    if interval.kind not in {"stall", "timeout"}:
        return []
    seconds = timeline.of_kind("load.second", start_s=interval.start_s - 1, end_s=interval.end_s + 1)
    return [
        _words(timeline, event, f"{event['requests']} requests in this second")
        for event in seconds
        if event.get("requests")
    ]


def _concerning(timeline: Timeline, interval: Interval, kind: str, **which: Any) -> list[Event]:
    """Return the events about the probed targets; those about any, if none names a target."""
    targets = {series.rpartition("/")[0] for series in interval.series}
    events = list(timeline.of_kind(kind, **which))
    named = [
        event
        for event in events
        if event.get("service") in targets
        or (event.get("labels") or {}).get("app.kubernetes.io/name") in targets
    ]
    return named or events


def _words(timeline: Timeline, event: Event, what: str) -> str:
    """Say what happened, and when since the timeline's beginning."""
    return f"{event['t'] - timeline.events[0]['t']:.3f} s: {what}"


Rule = Callable[[Timeline, Interval], list[str]]
_RULES: Iterable[tuple[str, Rule]] = (
    ("application error", _application_error),
    ("node lost", _node_lost),
    ("killed process", _killed_process),
    ("no ready endpoint", _no_ready_endpoint),
    ("endpoint removed after SIGTERM", _removed_after_sigterm),
    ("reset of a reused connection", _reset_of_reused),
    ("stall under load", _stall_under_load),
)
