"""What faults on single containers share: choosing them, by label, name and seed."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.fault import Place
from chaos.replicas import Replica, Replicas, observe
from chaos.targets import Target, choose, how_many
from core.errors import InconclusiveError, RefusedError


def choose_containers(
    place: Place, *, selector: str, count: int, share: float | None = None, container: str | None
) -> tuple[Replicas, Sequence[Target]]:
    """Return the workload as it is, and one container in each of `count` of its pods; touches nothing.

    `share` (0 to 1) is of its live pods, and stands for a count. `container` names it; it may be left out for
    pods with only one. Raises as Fault.select does.
    """
    place.guard.admit_namespace(place.cluster, place.namespace)
    before = observe(place.cluster, place.namespace, selector)
    number = how_many(count, share, len(before.live))
    chosen = choose(before, namespace=place.namespace, selector=selector, count=number, seed=place.seed)
    place.guard.admit_selection(selector, selected=len(chosen), ready=len(before.live))
    return before, [_target(place, pod, container) for pod in chosen]


def _target(place: Place, pod: Replica, container: str | None) -> Target:
    names = [c.name for c in pod.containers]
    if container is None and len(names) != 1:
        raise RefusedError(f"pod {pod.name} has the containers {names}: name the one to be hit")
    found = pod.container(container or names[0])
    if found is None or not found.container_id:
        raise InconclusiveError(f"pod {pod.name} runs no container {container!r}, only {names}")
    return Target(
        namespace=place.namespace,
        pod=pod.name,
        uid=pod.uid,
        node=pod.node,
        container=found.name,
        container_id=found.container_id,
        restarts=found.restarts,
    )
