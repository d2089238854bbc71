"""Readiness: all pods of a namespace Ready again, where it is no one workload that a fault has hit."""

from __future__ import annotations

from collections.abc import Callable

from chaos.fault import Evidence, Place
from chaos.recovery import look_until
from chaos.replicas import Replicas, observe


def look(place: Place) -> Replicas:
    """Return the pods of the namespace, without the Services that route to them."""
    return observe(place.cluster, place.namespace, "", frozenset())


def await_ready(
    place: Place,
    *,
    before: Replicas,
    objection: Callable[[Replicas], str | None],
    injected_s: float,
    timeout_s: float,
) -> Evidence:
    """Wait until as many pods as `before` live, each Ready, without an `objection`; return since when.

    Raises WaitTimeoutError with the last objection.
    """

    def judge(seen: Replicas) -> str | None:
        if len(seen.live) < len(before.live):
            return f"{len(seen.live)} live pods in the namespace, {len(before.live)} before"
        return objection(seen) or seen.unready()

    seen, since = look_until(
        place,
        "",
        services=frozenset(),
        description=f"all pods of namespace {place.namespace} Ready again",
        judge=judge,
        timeout_s=timeout_s,
        settle_s=place.settle_s,
    )
    return {
        "recovered_s": since,
        "after_s": since - injected_s,
        "resolution_s": place.poll_s,
        "replicas": [pod.name for pod in seen.live],
    }
