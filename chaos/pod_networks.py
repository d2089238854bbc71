"""Pods as ends of a network: their addresses, the ports that they serve at, and a container to enter by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.fault import Place
from chaos.replicas import Replica
from chaos.targets import Target
from clients.kubernetes import Json
from core.errors import InconclusiveError, RefusedError


@dataclass(frozen=True, kw_only=True)
class PodNetwork:
    """A pod's network. `target` names a running container of it, by which the agent finds the network."""

    target: Target
    address: str
    ports: tuple[int, ...] = ()


def networks_of(place: Place, pods: Sequence[Replica]) -> list[PodNetwork]:
    """Return the networks of pods.

    Raises RefusedError for a pod with hostNetwork, whose network is its node's, InconclusiveError for one
    that has no address or no running container any more.
    """
    found = []
    for pod in pods:
        network = network_now(place, pod.name, pod.uid)
        if network is None:
            raise InconclusiveError(f"pod {pod.name} ({pod.uid}) has gone or runs no container")
        found.append(network)
    return found


def network_now(place: Place, name: str, uid: str) -> PodNetwork | None:
    """Return a pod's network as it is now (containers are started again); None if the pod has gone."""
    pod = place.cluster.get("pods", name, place.namespace)
    if pod is None or pod["metadata"]["uid"] != uid:
        return None
    if pod["spec"].get("hostNetwork"):
        raise RefusedError(f"pod {name} uses its node's network (hostNetwork): every pod there would be hit")
    address = (pod.get("status") or {}).get("podIP")
    running = _running(pod)
    if not address or running is None:
        return None
    container, container_id = running
    return PodNetwork(
        target=Target(
            namespace=place.namespace,
            pod=name,
            uid=uid,
            node=pod["spec"]["nodeName"],
            container=container,
            container_id=container_id,
        ),
        address=address,
        ports=tuple(
            int(port["containerPort"])
            for container in pod["spec"].get("containers") or ()
            for port in container.get("ports") or ()
            if port.get("protocol", "TCP") == "TCP"
        ),
    )


def _running(pod: Json) -> tuple[str, str] | None:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        container_id = (status.get("containerID") or "").rpartition("//")[2]
        if container_id and (status.get("state") or {}).get("running") is not None:
            return status["name"], container_id
    return None
