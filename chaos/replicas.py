"""What a label selector finds: the replicas, their containers, and the Services that route to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clients.kubernetes import Cluster, Json, pod_ready


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container's state as its kubelet reports it; ids are without the runtime's prefix."""

    name: str
    container_id: str
    restarts: int
    ready: bool
    started_at: str = ""
    ended_id: str = ""
    ended_code: int | None = None
    ended_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One pod of the workload."""

    name: str
    uid: str
    node: str
    ready: bool
    terminating: bool
    containers: tuple[Container, ...]

    def container(self, name: str) -> Container | None:
        """Return the container of that name."""
        return next((c for c in self.containers if c.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """A workload at one moment: its pods, and per Service the pods' UIDs with whether each is ready there."""

    pods: tuple[Replica, ...]
    services: Mapping[str, Mapping[str, bool]]

    @property
    def live(self) -> tuple[Replica, ...]:
        """Return the pods that are not being deleted."""
        return tuple(p for p in self.pods if not p.terminating)

    def by_uid(self, uid: str) -> Replica | None:
        """Return the pod with that UID."""
        return next((p for p in self.pods if p.uid == uid), None)

    def unready(self) -> str | None:
        """Name the first live pod that is not Ready or not routed to; None if all serve."""
        for pod in self.live:
            if not pod.ready:
                return f"pod {pod.name} is not Ready"
            for service, endpoints in self.services.items():
                if endpoints.get(pod.uid) is False:
                    return f"pod {pod.name} is not ready in the EndpointSlices of Service {service}"
            if self.services and not any(pod.uid in endpoints for endpoints in self.services.values()):
                return f"pod {pod.name} is in no EndpointSlice of the Services {sorted(self.services)}"
        return None

    def routed(self, service: str) -> int:
        """Count the live pods that are ready in the EndpointSlices of a Service."""
        return sum(1 for pod in self.live if self.services.get(service, {}).get(pod.uid))


def observe(
    cluster: Cluster, namespace: str, selector: str, services: frozenset[str] | None = None
) -> Replicas:
    """Read the workload.

    `services` names the Services to look at; by default those whose EndpointSlices hold any of its pods.
    Pods that ended for good (Succeeded, Failed) are no replicas. Raises ApiError.
    """
    found = cluster.list("pods", namespace, labels=selector)
    pods = [_replica(p) for p in found if p.get("status", {}).get("phase") not in {"Succeeded", "Failed"}]
    uids = {p.uid for p in pods}
    listed: dict[str, dict[str, bool]] = {service: {} for service in services or ()}
    for piece in cluster.list("endpointslices", namespace):
        service = (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
        ready = _endpoints(piece)
        if services is None and uids & ready.keys():
            listed.setdefault(service, {})
        if service not in listed:
            continue
        for uid, ok in ready.items():
            # A pod counts as routed to only if every slice that lists it does.
            listed[service][uid] = ok and listed[service].get(uid, True)
    return Replicas(pods=tuple(sorted(pods, key=lambda p: (p.name, p.uid))), services=listed)


def _replica(pod: Json) -> Replica:
    meta, status = pod["metadata"], pod.get("status", {})
    return Replica(
        name=meta["name"],
        uid=meta["uid"],
        node=pod.get("spec", {}).get("nodeName", ""),
        ready=pod_ready(pod),
        terminating=bool(meta.get("deletionTimestamp")),
        containers=tuple(_container(c) for c in status.get("containerStatuses") or ()),
    )


def _container(status: Json) -> Container:
    ended = (status.get("lastState") or {}).get("terminated") or {}
    running = (status.get("state") or {}).get("running") or {}
    return Container(
        name=status["name"],
        container_id=_bare(status.get("containerID")),
        restarts=int(status.get("restartCount", 0)),
        ready=bool(status.get("ready")),
        started_at=running.get("startedAt") or "",
        ended_id=_bare(ended.get("containerID")),
        ended_code=ended.get("exitCode"),
        ended_reason=ended.get("reason") or "",
    )


def _bare(container_id: str | None) -> str:
    return (container_id or "").rpartition("//")[2]


def _endpoints(piece: Json) -> dict[str, bool]:
    ready: dict[str, bool] = {}
    for endpoint in piece.get("endpoints") or ():
        uid = (endpoint.get("targetRef") or {}).get("uid")
        if uid:
            # The API defines an absent condition as true.
            ready[uid] = (endpoint.get("conditions") or {}).get("ready") is not False
    return ready
