"""The worker nodes of a cluster, and whom a fault on some of them would hit."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chaos.guard import CONTROL_PLANE
from clients.kubernetes import Cluster, Json, pod_ready
from core.errors import InconclusiveError, RefusedError

HARNESS_LABELS = frozenset({"ecochain.io/run", "ecochain.io/load"})
LEASES = "kube-node-lease"
# Pods of these controllers belong to their node: it may lose its own.
_OF_THE_NODE = ("DaemonSet/", "Node/")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node as the API shows it: `condition` is why it is Ready or not, `runtime` such as containerd."""

    name: str
    uid: str
    ready: bool
    condition: str
    cordoned: bool
    works: bool
    address: str
    kubelet_port: int
    provider_id: str
    runtime: str = ""

    @classmethod
    def of(cls, found: Json) -> Node:
        """Read the API's object."""
        meta, spec, status = found["metadata"], found.get("spec") or {}, found.get("status") or {}
        conditions: Sequence[Json] = status.get("conditions") or ()
        ready: Json = next((one for one in conditions if one["type"] == "Ready"), {})
        addresses = {one["type"]: one["address"] for one in status.get("addresses") or ()}
        endpoints = status.get("daemonEndpoints") or {}
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            ready=ready.get("status") == "True",
            condition=f"{ready.get('reason', 'no condition')}: {ready.get('message', '')}",
            cordoned=bool(spec.get("unschedulable")),
            works=CONTROL_PLANE not in (meta.get("labels") or {}),
            address=addresses.get("InternalIP", ""),
            kubelet_port=int((endpoints.get("kubeletEndpoint") or {}).get("Port", 10250)),
            provider_id=spec.get("providerID") or "",
            runtime=str((status.get("nodeInfo") or {}).get("containerRuntimeVersion", "")).partition("://")[
                0
            ],
        )


def every(cluster: Cluster, selector: str = "") -> list[Node]:
    """Return the nodes that a label selector finds, by name."""
    return sorted(map(Node.of, cluster.list("nodes", labels=selector)), key=lambda node: node.name)


def get(cluster: Cluster, name: str) -> Node | None:
    """Return one node, or None where there is none."""
    found = cluster.get("nodes", name)
    return Node.of(found) if found else None


def heartbeat(cluster: Cluster, name: str) -> str:
    """Return when a node's kubelet says that it last renewed its lease; empty where there is none."""
    found = cluster.get("leases", name, LEASES)
    return str((found or {"spec": {}})["spec"].get("renewTime") or "")


@dataclass(frozen=True, kw_only=True)
class Tenants:
    """Who is on the nodes: per node how many pods of the harness, and per workload its Ready pods' nodes.

    A workload is named by the kind and name of the pods' controller. DaemonSets are none: a node has its own.
    """

    harness: Mapping[str, int]
    workloads: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, cluster: Cluster, namespace: str) -> Tenants:
        """Look at the pods: the harness' in every namespace, the workloads' in this one."""
        harness: dict[str, int] = {}
        workloads: dict[str, list[str]] = {}
        for pod in cluster.list("pods"):
            node, meta = (pod.get("spec") or {}).get("nodeName"), pod["metadata"]
            owner = controller(pod)
            if not node or finished(pod) or (owner or "").startswith(_OF_THE_NODE):
                continue
            if HARNESS_LABELS & set(meta.get("labels") or {}):
                harness[node] = harness.get(node, 0) + 1
            elif owner and meta.get("namespace") == namespace and pod_ready(pod):
                workloads.setdefault(owner, []).append(node)
        return cls(harness=harness, workloads=workloads)

    def would_lose(self, nodes: Iterable[str]) -> list[str]:
        """Return the workloads all of whose Ready pods are on these nodes."""
        hit = set(nodes)
        return sorted(name for name, places in self.workloads.items() if set(places) <= hit)


def controller(pod: Json) -> str | None:
    """Return the kind and name of what controls a pod, None for a pod of nobody's."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((f"{one['kind']}/{one['name']}" for one in owners if one.get("controller")), None)


def finished(pod: Json) -> bool:
    """Tell whether a pod has ended for good."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def choose(
    candidates: Sequence[Node],
    tenants: Tenants,
    *,
    count: int,
    seed: int,
    where: str,
    all_replicas_allowed: bool,
) -> list[Node]:
    """Choose nodes by the seed: those without pods of the harness first, none that takes a workload whole.

    Where that is allowed, those that take fewest come first all the same. Raises InconclusiveError for too
    few, RefusedError when too few could be hit without taking a workload whole.
    """
    steady = [node for node in candidates if node.ready and not node.cordoned]
    if count < 1 or len(steady) < count:
        unsteady = [f"{node.name} ({node.condition})" for node in candidates if node not in steady]
        raise InconclusiveError(
            f"{where}: {len(steady)} nodes are Ready and take pods, {count} to be hit: nothing was touched"
            + (f"; not steady: {', '.join(unsteady)}" if unsteady else "")
        )
    order = list(steady)
    random.Random(seed).shuffle(order)  # noqa: S311 - repeatable on purpose, no secret
    order.sort(key=lambda node: (tenants.harness.get(node.name, 0), len(tenants.would_lose([node.name]))))
    chosen: list[Node] = []
    refused: dict[str, list[str]] = {}
    for node in order:
        lost = tenants.would_lose([*(one.name for one in chosen), node.name])
        if lost and not all_replicas_allowed:
            refused[node.name] = lost
        else:
            chosen.append(node)
        if len(chosen) == count:
            return chosen
    told = "; ".join(f"{name}: {', '.join(lost)}" for name, lost in sorted(refused.items()))
    raise RefusedError(
        f"{where}: {count} nodes to be hit would leave no replica of some workload ({told}); "
        "choose fewer or others, or allow all replicas explicitly"
    )
