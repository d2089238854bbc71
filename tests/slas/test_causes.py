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


@pytest.mark.parametrize(
    ("events", "outage", "cause"),
    [
        ([], interval("status", status=503), "application error"),
        ([pod(4.9, deleting=True)], interval("refused"), "endpoint removed after SIGTERM"),
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


def test_causes_are_summed_up_by_frequency() -> None:
    """One phrase for the verdict."""
    some = [explain(timeline({}), interval(kind, status=500)) for kind in ("refused", "status", "status")]
    assert summary(some) == "application error (2 times), unexplained"
