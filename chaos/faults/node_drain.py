"""Cordon a node and evict its pods, as `kubectl drain` does: with respect for disruption budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from chaos import nodes
from chaos.fault import Evidence, Place
from chaos.guard import PROTECTED_NAMESPACES
from chaos.node_fault import NodeFault
from chaos.nodes import HARNESS_LABELS, Node
from chaos.permissions import Permission
from chaos.undo import Undo
from clients.kubernetes import ApiError, Json
from core.errors import InconclusiveError, RefusedError, WaitTimeoutError
from core.waiting import wait_until

_REFUSED_BY_BUDGET = 429
_RETRY_S = 1.0
_MIRROR = "kubernetes.io/config.mirror"


@dataclass(kw_only=True)
class _Evictions:
    """What became of a node's pods, each as namespace/name.

    `refused_by_budget` counts how often a disruption budget forbade it, with the last reason; `left` are
    pods that no drain evicts, each with why.
    """

    asked: dict[str, str] = field(default_factory=dict)
    evicted: dict[str, str] = field(default_factory=dict)
    refused_by_budget: dict[str, dict[str, object]] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def as_evidence(self) -> dict[str, object]:
        """Return it as part of the proof."""
        return {
            "evicted": self.evicted,
            "refused_by_budget": self.refused_by_budget,
            "left": self.left,
        }


class NodeDrain(NodeFault):
    """Cordons `count` nodes (see NodeFault) and evicts the namespace's pods from them; an uncordon undoes it.

    An eviction that a PodDisruptionBudget forbids is tried again until `deadline_s`; what is then still
    there makes the drain incomplete, and so not proved. Pods of DaemonSets, of nodes themselves, of the
    harness and of other namespaces stay. A pod that nobody would make again is refused before anything is
    touched.
    """

    name: ClassVar[str] = "node_drain"
    permissions: ClassVar[Sequence[Permission]] = (
        *NodeFault.permissions,
        Permission(verb="patch", resource="nodes"),
        Permission(verb="create", resource="pods", subresource="eviction"),
    )

    def __init__(
        self,
        place: Place,
        *,
        nodes: str = "",
        selector: str = "",
        count: int = 1,
        share: float | None = None,
        duration_s: float = 60.0,
        deadline_s: float = 60.0,
    ) -> None:
        super().__init__(
            place, nodes=nodes, selector=selector, count=count, share=share, duration_s=duration_s
        )
        self._deadline_s = deadline_s
        self._evictions: dict[str, _Evictions] = {}

    def _worth(self, candidates: Sequence[Node]) -> Sequence[Node]:
        return [node for node in candidates if self._pods(node)]

    def _require(self, chosen: Sequence[Node]) -> None:
        for node in chosen:
            orphans = [pod["metadata"]["name"] for pod in self._pods(node) if nodes.controller(pod) is None]
            if orphans:
                raise RefusedError(
                    f"fault {self.name}: node {node.name} has pods that nobody would make again: "
                    f"{', '.join(orphans)}"
                )

    def _undo(self, node: Node) -> Undo:
        return Undo(verb="uncordon", args={"node": node.name})

    def _do(self, node: Node) -> None:
        cluster = self._place.cluster
        cluster.patch("nodes", node.name, None, {"spec": {"unschedulable": True}})
        found = _Evictions()
        self._evictions[node.name] = found
        for pod in cluster.list("pods", fields=f"spec.nodeName={node.name}"):
            why = self._stays(pod)
            if why is None:
                found.asked[_named(pod)] = pod["metadata"]["uid"]
            elif not nodes.finished(pod):
                found.left[_named(pod)] = why
        try:
            wait_until(
                f"node {node.name} to be drained",
                lambda: self._drained(found),
                self._deadline_s,
                interval_s=_RETRY_S,
            )
        except WaitTimeoutError:
            return  # the proof says what is still there

    def _landed(self, node: Node) -> str | Evidence:
        cluster, found = self._place.cluster, self._evictions[node.name]
        now = nodes.get(cluster, node.name)
        if now is None or not now.cordoned:
            return f"node {node.name} still takes pods"
        there = {pod["metadata"]["uid"] for pod in self._pods(node)}
        still = [name for name, uid in found.asked.items() if uid in there]
        if still:
            told = {name: found.refused_by_budget.get(name, "on its way") for name in still}
            return f"node {node.name} still has {told}; the drain had {self._deadline_s:g} s"
        if not found.asked:
            return f"node {node.name} had no pod to be evicted"
        return {"cordoned": True, **found.as_evidence()}

    def _over(self, node: Node) -> str | Evidence:
        now = nodes.get(self._place.cluster, node.name)
        if now is None or now.cordoned:
            return f"node {node.name} still takes no pods"
        return {"cordoned": False, "ready": now.condition}

    def _drained(self, found: _Evictions) -> bool:
        cluster = self._place.cluster
        gone = True
        for name, uid in found.asked.items():
            namespace, _, pod = name.partition("/")
            now = cluster.get("pods", pod, namespace)
            if now is None or now["metadata"]["uid"] != uid:
                found.evicted.setdefault(name, uid)
                continue
            gone = False
            if name in found.evicted:
                continue  # it takes its grace period
            try:
                cluster.evict(pod, namespace, uid=uid)
                found.evicted[name] = uid
            except ApiError as error:
                if error.status == _REFUSED_BY_BUDGET:
                    before = found.refused_by_budget.get(name, {"times": 0})
                    times = int(str(before["times"])) + 1
                    found.refused_by_budget[name] = {"times": times, "reason": str(error)}
                elif error.status not in (404, 409):
                    raise InconclusiveError(f"node drain: pod {name} cannot be evicted: {error}") from error
        return gone

    def _pods(self, node: Node) -> list[Json]:
        """Return the pods that a drain of this node evicts."""
        found = self._place.cluster.list("pods", fields=f"spec.nodeName={node.name}")
        return [pod for pod in found if self._stays(pod) is None]

    def _stays(self, pod: Json) -> str | None:
        """Return why a drain leaves a pod where it is, None if it evicts it."""
        meta = pod["metadata"]
        namespace = meta["namespace"]
        if nodes.finished(pod):
            return "it has ended"
        if (nodes.controller(pod) or "").startswith("DaemonSet/"):
            return "it is of a DaemonSet"
        if _MIRROR in (meta.get("annotations") or {}):
            return "it is of the node itself"
        if namespace in PROTECTED_NAMESPACES or HARNESS_LABELS & set(meta.get("labels") or {}):
            return "it is protected"
        if namespace != self._place.namespace:
            return "it is of another namespace"
        return None


def _named(pod: Json) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
