"""The likely cause of an outage, from what the timeline shows near it. Rules in order; the first one wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from slas.downtime import Interval
from slas.series import SeriesName
from slas.timeline import Event, Timeline

# The watcher may stamp an event this much before or after what the probes saw of it.
_NEAR_S = 2.0
# Kubernetes says that a node is lost, or a container was restarted, only some time after.
_LATE_S = 15.0
_NODE_LOSS_S = 60.0
_EVIDENCE_KEPT = 5
_NAME_LABELS = ("app.kubernetes.io/name", "app")

UNEXPLAINED = "unexplained"
NO_ENDPOINT = "no ready endpoint"
# The kernel sends only some rejections a second; what gets none is sent again, or times out.
_REJECTED = {"refused", "timeout", "stall"}


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A named cause and the events that speak for it, in words.

    `kind` is what kind of failure the cause makes of the interval's own, if it does: a refusal by a service
    without endpoints is no refusal by a process.
    """

    name: str
    evidence: tuple[str, ...] = ()
    kind: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fields by which an interval's evidence is extended, or replaced."""
        kind = {"kind": self.kind} if self.kind else {}
        return {**kind, "cause": self.name, "because": list(self.evidence)}


def explain(timeline: Timeline, interval: Interval) -> Cause:
    """Name the likely cause of an outage; `unexplained` if no rule applies."""
    for name, rule in _RULES:
        evidence = rule(timeline, interval)
        if evidence:
            nobody = name == NO_ENDPOINT and interval.kind in _REJECTED
            return Cause(
                name=name,
                evidence=tuple(evidence[:_EVIDENCE_KEPT]),
                kind="no_endpoint" if nobody else None,
            )
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
    nodes = {
        event.get("node")
        for event in _concerning(timeline, interval, "k8s.pod", end_s=interval.end_s)
        if event["t"] <= interval.start_s or event.get("type") == "ADDED"
    }
    said = [
        _words(timeline, event, f"{event.get('object_name')}: {event.get('reason')}")
        for event in timeline.of_kind("k8s.event", **span)
        if event.get("reason") in {"NodeNotReady", "NodeNotSchedulable"}
        or (event.get("reason") == "TaintManagerEviction" and event.get("object_kind") == "Pod")
    ]
    for event in timeline.of_kind("k8s.node", **span):
        name, change = event.get("name"), event.get("type")
        if name not in nodes:
            continue
        if change in {"SILENT", "HEARD"}:
            since_s = float(event.get("silent_since_s") or event["t"])
            # Of a node that came back before the outage, or fell silent after it, nothing follows.
            if since_s <= interval.end_s and (change == "SILENT" or event["t"] >= interval.start_s):
                silent_s = event["t"] - since_s
                said.append(_words(timeline, event, f"node {name} not heard for {silent_s:.1f} s"))
        elif change == "DELETED" or (change == "MODIFIED" and event.get("ready") is False):
            said.append(_words(timeline, event, f"node {name} not ready: {event.get('reason') or 'deleted'}"))
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


def _prestop_too_short(timeline: Timeline, interval: Interval) -> list[str]:
    """Find pods whose preStop hook was over, and their process told to stop, while requests still came."""
    said = []
    for event in _stopped(timeline, interval):
        hooks, length_s, grace_s = event.get("pre_stop"), event.get("pre_stop_s"), event.get("grace_s")
        if not hooks:
            continue
        hook = f"preStop {', '.join(map(str, hooks))}"
        gone = next(_unlisted(timeline, event), None)
        said.append(_words(timeline, event, f"pod {event.get('name')} is being deleted, {hook}"))
        if length_s is not None and grace_s is not None and float(length_s) >= float(grace_s):
            said.append(f"its grace period of {grace_s} s ends before that hook")
        if gone is not None:
            after_s = gone["t"] - event["t"]
            said.append(_words(timeline, gone, f"its endpoint was taken out, {after_s:.3f} s later"))
    return said


def _removed_after_sigterm(timeline: Timeline, interval: Interval) -> list[str]:
    return [
        _words(timeline, event, f"pod {event.get('name')} is being deleted")
        for event in _stopped(timeline, interval)
    ]


def _stopped(timeline: Timeline, interval: Interval) -> list[Event]:
    """Return the first event of deletion of each pod that was told to stop in the outage or just before it.

    A pod that is being deleted gets SIGTERM at once, unless a preStop hook delays it. One that is gone
    already does not even refuse: what is sent to it is lost, and answered by another when it is sent again.
    """
    if interval.kind not in {"refused", "reset", "truncated", "timeout", "stall"}:
        return []
    first: dict[object, Event] = {}
    for event in _concerning(timeline, interval, "k8s.pod", end_s=interval.end_s + _NEAR_S):
        if event.get("deleting") or event.get("type") == "DELETED":
            first.setdefault(event.get("uid"), event)
    before_s = _NEAR_S if interval.kind == "stall" else 5 * _NEAR_S
    return [
        event
        for event in first.values()
        if interval.start_s - before_s
        <= event["t"] + float(event.get("pre_stop_s") or 0)
        <= interval.end_s + (0 if event.get("pre_stop_s") else _NEAR_S)
    ]


def _unlisted(timeline: Timeline, deleted: Event) -> Iterator[Event]:
    """Yield the EndpointSlices after a pod's deletion in which it is ready no more."""
    name = deleted.get("name")
    for event in timeline.of_kind("k8s.endpointslice", start_s=deleted["t"] - _NEAR_S):
        listed = [one for one in event.get("endpoints") or () if one.get("pod") == name]
        if any(not one.get("ready") for one in listed):
            yield event


def _reset_of_reused(_: Timeline, interval: Interval) -> list[str]:
    if interval.kind in {"reset", "truncated"} and all(
        SeriesName.parse(one).connection == "reused" for one in interval.series
    ):
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
    targets = {SeriesName.parse(series).target for series in interval.series}
    events = list(timeline.of_kind(kind, **which))
    named = [
        event
        for event in events
        if event.get("service") in targets
        or any((event.get("labels") or {}).get(label) in targets for label in _NAME_LABELS)
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
    (NO_ENDPOINT, _no_ready_endpoint),
    ("preStop too short", _prestop_too_short),
    ("endpoint removed after SIGTERM", _removed_after_sigterm),
    ("reset of a reused connection", _reset_of_reused),
    ("stall under load", _stall_under_load),
)
