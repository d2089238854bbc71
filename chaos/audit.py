"""The audit: what a fault could have left in a cluster, looked for without trust in any ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chaos.agents import Agents
from chaos.cluster_ledger import LEDGER_LABEL, NAMESPACE, OPEN
from chaos.permissions import Permission
from clients.kubernetes import Cluster, Json, group_of

# A label of what a fault made, an annotation of what it changed; its value is the fault's name.
FAULT_LABEL = "ecochain.io/fault"
OURS = "ecochain.io/"
# What every object that agents and faults make is called, outside the namespace of faults.
PREFIX = "ecochain-chaos"
# What a fault may make, change or put a finalizer on.
_KINDS = (
    "nodes",
    "namespaces",
    "pods",
    "configmaps",
    "services",
    "persistentvolumeclaims",
    "deployments",
    "statefulsets",
    "daemonsets",
    "jobs",
    "networkpolicies",
    "poddisruptionbudgets",
)
PERMISSIONS = tuple(Permission(verb="list", resource=kind, group=group_of(kind)) for kind in _KINDS)


@dataclass(frozen=True, kw_only=True)
class Remainder:
    """Something that a fault left: its kind, where it is, and what it is."""

    kind: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.where}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What was so before the first fault, and so is nobody's remainder: the cordoned nodes by name."""

    cordoned: frozenset[str] = frozenset()

    @classmethod
    def of(cls, cluster: Cluster) -> Baseline:
        """Look at the cluster as it is."""
        nodes = cluster.list("nodes")
        return cls(cordoned=frozenset(_name(n) for n in nodes if n["spec"].get("unschedulable")))


def remainders(cluster: Cluster, agents: Agents | None, baseline: Baseline | None = None) -> list[Remainder]:
    """List what is left on the nodes and in every namespace; empty is clean.

    Without agents the nodes themselves are not looked at. Raises ApiError, EnvironmentFailedError where it
    could not look: that is no clean result.
    """
    found = [*_of_nodes(cluster, baseline or Baseline()), *_of_objects(cluster), *_of_ledger(cluster)]
    if agents is not None:
        found += [_of_agent(one) for one in agents.remainders()]
    return found


def _of_nodes(cluster: Cluster, baseline: Baseline) -> Iterator[Remainder]:
    for node in cluster.list("nodes"):
        name = _name(node)
        if node["spec"].get("unschedulable") and name not in baseline.cordoned:
            yield Remainder(kind="cordon", where=name, what="takes no new pods")
        for taint in node["spec"].get("taints") or []:
            if str(taint.get("key", "")).startswith(OURS):
                yield Remainder(kind="taint", where=name, what=str(taint["key"]))


def _of_objects(cluster: Cluster) -> Iterator[Remainder]:
    for kind in _KINDS:
        for item in cluster.list(kind):
            meta = item["metadata"]
            where = f"{meta.get('namespace', '')}/{meta['name']}".lstrip("/")
            for noted, what in (("labels", "made"), ("annotations", "changed")):
                fault = (meta.get(noted) or {}).get(FAULT_LABEL)
                if fault is not None:
                    yield Remainder(kind=kind, where=where, what=f"{what} by fault {fault}")
            if meta["name"].startswith(PREFIX) and NAMESPACE not in (meta.get("namespace"), meta["name"]):
                yield Remainder(kind=kind, where=where, what="has the name of what faults make")
            ours = [one for one in meta.get("finalizers") or [] if str(one).startswith(OURS)]
            if ours:
                yield Remainder(kind="finalizer", where=where, what=f"{kind} with {', '.join(ours)}")


def _of_ledger(cluster: Cluster) -> Iterator[Remainder]:
    for item in cluster.list("configmaps", NAMESPACE, labels=f"{LEDGER_LABEL}={OPEN}"):
        yield Remainder(kind="ledger", where=f"{NAMESPACE}/{_name(item)}", what="a fault that is still open")


def _of_agent(one: Mapping[str, object]) -> Remainder:
    return Remainder(
        kind=str(one.get("kind")),
        where=f"{one.get('node', '')} {one.get('where')}",
        what=str(one.get("what")),
    )


def _name(item: Json) -> str:
    return str(item["metadata"]["name"])
