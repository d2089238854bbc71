"""Every cause is named from what the timeline shows near the outage."""

from __future__ import annotations

from typing import Any

import pytest
from made_evidence import NEW, REUSED, T0, at, timeline

from slas.causes import explain, summary
from slas.downtime import Interval

LABELS = {"app.kubernetes.io/name": "auth-service"}


def interval(kind: str, *names: str, status: int = 0) -> Interval:
    return Interval(
        start_s=T0 + 5,
        end_s=T0 + 6,
        lower_s=0.9,
        kind=kind,
        first_error="E",
        samples=3,
        status=status,
        series=names or (NEW, REUSED),
    )


def pod(second: float, **more: Any) -> dict[str, Any]:
    return at(second, "k8s.pod", **{"uid": "u", "name": "a-1", "restarts": 0, "labels": LABELS} | more)


def endpoints(second: float, *ready: bool, service: str = "auth-service") -> dict[str, Any]:
    made = [{"pod": f"p{i}", "ready": one} for i, one in enumerate(ready)]
    return at(
        second, "k8s.endpointslice", type="MODIFIED", name=f"{service}-x", service=service, endpoints=made
    )


SHORT, LOST = "preStop too short", "node lost"


def silent(second: float, node: str, since: float) -> dict[str, Any]:
    return at(second, "k8s.node", type="SILENT", name=node, silent_since_s=T0 + since)


def heard(second: float, node: str, since: float) -> dict[str, Any]:
    return at(second, "k8s.node", type="HEARD", name=node, silent_since_s=T0 + since)


@pytest.mark.parametrize(
    ("events", "outage", "cause"),
    [
        ([], interval("status", status=503), "application error"),
        ([pod(4.9, deleting=True)], interval("refused"), "endpoint removed after SIGTERM"),
        ([pod(4.9, deleting=True, pre_stop=["sleep 0.2"], pre_stop_s=0.2)], interval("refused"), SHORT),
        ([pod(4.9, deleting=True, pre_stop=["GET /drain"], pre_stop_s=None)], interval("reset"), SHORT),
        ([pod(-20, deleting=True, pre_stop=["sleep 24"], pre_stop_s=24.0)], interval("reset"), SHORT),
        ([pod(4.9, deleting=True, pre_stop=["sleep 4"], pre_stop_s=4.0)], interval("stall"), "unexplained"),
        ([pod(4.9, deleting=True, pre_stop=["sleep 0.2"], pre_stop_s=0.2)], interval("stall"), SHORT),
        ([pod(1, deleting=True)], interval("stall"), "unexplained"),
        ([pod(1, node="n1"), silent(17, "n1", since=2)], interval("timeout"), "node lost"),
        ([pod(1, node="n1"), silent(17, "n2", since=2)], interval("timeout"), "unexplained"),
        ([pod(1, node="n1"), silent(17, "n1", since=7)], interval("timeout"), "unexplained"),
        ([pod(1, node="n1"), heard(4, "n1", since=-20)], interval("timeout"), "unexplained"),
        ([pod(1, node="n1"), heard(19, "n1", since=1)], interval("timeout"), "node lost"),
        (
            [pod(1, node="n1"), at(5, "k8s.node", type="MODIFIED", name="n1", ready=False)],
            interval("reset"),
            LOST,
        ),
        ([pod(1), pod(7, restarts=1)], interval("reset"), "killed process"),
        ([at(4.5, "fault.injected", fault="container_kill")], interval("reset"), "killed process"),
        ([at(9, "k8s.event", reason="NodeNotReady", object_name="n1")], interval("timeout"), "node lost"),
        ([endpoints(1, True), endpoints(4, False)], interval("refused"), "no ready endpoint"),
        (
            [endpoints(1, True), endpoints(4, False), endpoints(5.5, True)],
            interval("refused"),
            "no ready endpoint",
        ),
        ([endpoints(1, True), endpoints(3, False), endpoints(4, True)], interval("refused"), "unexplained"),
        (
            [endpoints(1, True), endpoints(1, True, service="other"), endpoints(4, service="other")],
            interval("refused"),
            "unexplained",
        ),
        ([], interval("reset", REUSED), "reset of a reused connection"),
        ([], interval("reset", NEW), "unexplained"),
        ([at(5.5, "load.second", requests=50)], interval("stall"), "stall under load"),
        ([at(5.5, "load.second", requests=0)], interval("stall"), "unexplained"),
        ([pod(20, deleting=True)], interval("refused"), "unexplained"),
    ],
)
def test_an_outage_gets_the_cause_that_the_timeline_shows(
    events: list[dict[str, Any]], outage: Interval, cause: str
) -> None:
    """With evidence; what no rule explains is called unexplained."""
    found = explain(timeline({}, *events), outage)
    assert found.name == cause
    assert found.evidence


def test_no_endpoint_is_a_kind_of_its_own() -> None:
    """A refusal where no endpoint was ready comes from the Service; one where some were, from a process."""
    empty = timeline({}, endpoints(1, True), endpoints(4, False))
    for kind in ("refused", "timeout", "stall"):
        assert explain(empty, interval(kind)).as_json()["kind"] == "no_endpoint"
    assert "kind" not in explain(empty, interval("reset")).as_json()
    assert "kind" not in explain(timeline({}, endpoints(1, True)), interval("refused")).as_json()


def test_a_hook_that_was_too_short_is_shown_beside_what_came_too_late() -> None:
    """What the pod has for its stop, and when its endpoint went."""
    slices = at(5.9, "k8s.endpointslice", service="auth-service", endpoints=[{"pod": "a-1", "ready": False}])
    events = [pod(4.9, deleting=True, pre_stop=["sleep 9 s"], pre_stop_s=0.5, grace_s=0.5), slices]
    words = " ".join(explain(timeline({}, *events), interval("refused")).evidence)
    for told in ("a-1 is being deleted, preStop sleep 9 s", "grace period", "taken out, 1.000 s later"):
        assert told in words


def test_causes_are_summed_up_by_frequency() -> None:
    """One phrase for the verdict."""
    some = [explain(timeline({}), interval(kind, status=500)) for kind in ("refused", "status", "status")]
    assert summary(some) == "application error (2 times), unexplained"
