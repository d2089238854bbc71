"""Recovery: the last replica Ready and routed to again, the renewed one among them."""

from __future__ import annotations

from collections.abc import Callable

from chaos.fault import Evidence, Place
from chaos.replicas import Replicas, observe
from clients.kubernetes import ApiError
from core.errors import InconclusiveError, WaitTimeoutError
from core.waiting import wait_until


def look_until(
    place: Place,
    selector: str,
    *,
    services: frozenset[str],
    description: str,
    judge: Callable[[Replicas], str | None],
    timeout_s: float,
    settle_s: float = 0.0,
) -> tuple[Replicas, float]:
    """Look until `judge` names no objection for `settle_s` without a break.

    Returns the last look and the moment of the first one of that stretch (run's clock, seconds).
    Raises WaitTimeoutError with the last objection. An API that does not answer is an objection.
    """
    since: float | None = None
    objection: str | None = "not looked yet"

    def probe() -> tuple[Replicas, float] | None:
        nonlocal since, objection
        moment = place.now()
        try:
            seen = observe(place.cluster, place.namespace, selector, services)
        except ApiError as error:
            since, objection = None, str(error)
            return None
        objection = judge(seen)
        if objection:
            since = None
            return None
        # The state was true when the answers came, not when they were asked for.
        since = place.now() if since is None else since
        objection = f"holding since {moment - since:.1f} s"
        return (seen, since) if place.now() - since >= settle_s else None

    return wait_until(description, probe, timeout_s, interval_s=place.poll_s, last=lambda: objection)


def prove_landed(
    fault: str, look: Callable[[], tuple[Replicas, float]], evidence: Callable[[Replicas], Evidence]
) -> Evidence:
    """Return the evidence of a look; InconclusiveError when it never showed the fault."""
    try:
        seen, moment = look()
    except WaitTimeoutError as error:
        raise InconclusiveError(f"fault {fault} was not seen landing: {error}") from error
    return {**evidence(seen), "seen_s": moment}


def await_recovery(
    place: Place,
    selector: str,
    *,
    before: Replicas,
    renewed: Callable[[Replicas], str | None],
    injected_s: float,
    timeout_s: float,
) -> Evidence:
    """Wait until as many replicas as `before` serve, all of them Ready and in every Service of before.

    `renewed` objects while what the fault hit has not been replaced or restarted: without it an
    unchanged count, seen before the cluster noticed anything, would pass for recovery.
    """

    def judge(seen: Replicas) -> str | None:
        if len(seen.live) != len(before.live):
            return f"{len(seen.live)} live replicas, {len(before.live)} before"
        missing = (
            f"{seen.routed(service)} pods ready in the EndpointSlices of Service {service}, "
            f"{before.routed(service)} before"
            for service in before.services
            if seen.routed(service) < before.routed(service)
        )
        return renewed(seen) or seen.unready() or next(missing, None)

    seen, since = look_until(
        place,
        selector,
        services=frozenset(before.services),
        description=f"every replica of {selector!r} Ready and in its EndpointSlices again",
        judge=judge,
        timeout_s=timeout_s,
        settle_s=place.settle_s,
    )
    return {
        "recovered_s": since,
        "after_s": since - injected_s,
        "resolution_s": place.poll_s,
        "replicas": [p.name for p in seen.live],
        "uids": [p.uid for p in seen.live],
        "services": sorted(before.services),
    }
