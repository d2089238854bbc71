"""Take a node's power: every process of it ends at once, and it starts again when the fault is undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from chaos import nodes
from chaos.fault import Evidence
from chaos.kubelets import silence
from chaos.means import powers_of
from chaos.node_fault import NodeFault
from chaos.nodes import Node
from chaos.powers import Powers
from chaos.replicas import Replicas, observe
from chaos.undo import Undo

POWER = "power_loss"
# A machine starts again, and its kubelet joins; in the cloud that takes minutes.
BOOT_S = 300.0


class NodePowerLoss(NodeFault):
    """Ends every process of `count` nodes (see NodeFault), by the environment's provider; they stay down.

    Proved when the API server no longer reaches the kubelet. Its end is proved by a Ready node whose lease
    was renewed, and the recovery by containers that were not there before.
    """

    name: ClassVar[str] = "node_power_loss"

    def prove_gone(self, timeout_s: float) -> Evidence:
        """Return the Ready nodes with their new heartbeats; waits at least as long as a start may take."""
        return super().prove_gone(max(timeout_s, BOOT_S))

    def _require(self, chosen: Sequence[Node]) -> None:  # noqa: ARG002
        self._powers()

    def _powers(self) -> Powers:
        return powers_of(self._place, self.name, POWER, "only a provider has power over whole machines")

    def _undo(self, node: Node) -> Undo:
        alone = self._powers().ends_with_owner
        return Undo(verb="provider", args={"what": POWER, "ends_with_owner": alone, **_named(node)})

    def _prepare(self) -> None:
        place = self._place
        self._beats = {node.name: nodes.heartbeat(place.cluster, node.name) for node in self._chosen}
        names = {node.name for node in self._chosen}
        self._ready = len([one for one in nodes.every(place.cluster) if one.works and one.ready])
        found = observe(place.cluster, place.namespace, "", frozenset())
        self._ran = {
            (pod.uid, container.name): container.container_id
            for pod in found.live
            if pod.node in names
            for container in pod.containers
        }

    def _do(self, node: Node) -> None:
        self._powers().begin(POWER, self._longest_s, **_named(node))

    def _landed(self, node: Node) -> str | Evidence:
        why = silence(self._place.cluster, node.name)
        if why is None:
            return f"the kubelet of {node.name} answers"
        now = nodes.get(self._place.cluster, node.name)
        return {"silence": why, "condition": now.condition if now else "gone"}

    def _over(self, node: Node) -> str | Evidence:
        cluster = self._place.cluster
        now, renewed = nodes.get(cluster, node.name), nodes.heartbeat(cluster, node.name)
        if now is None and self._replaced():
            return {"replaced": True, "ready": self._ready}
        if now is None or not now.ready:
            return f"node {node.name} is not Ready: {now.condition if now else 'gone'}"
        if renewed == self._beats[node.name]:
            return f"node {node.name} has not renewed its lease since {renewed}"
        why = silence(cluster, node.name)
        return why or {"ready": now.condition, "lease_renewed": renewed}

    def _replaced(self) -> bool:
        # In a cloud a group may have made another machine in the place of one that was down.
        return (
            len([node for node in nodes.every(self._place.cluster) if node.works and node.ready])
            >= self._ready
        )

    def _renewed(self, seen: Replicas) -> str | None:  # noqa: ARG002 - all pods of the node count
        place = self._place
        for pod in observe(place.cluster, place.namespace, "", frozenset()).live:
            for container in pod.containers:
                if self._ran.get((pod.uid, container.name)) == container.container_id:
                    return f"container {container.name} of pod {pod.name} was not started again"
        return None


def _named(node: Node) -> dict[str, str]:
    return {"node": node.name, "provider_id": node.provider_id}
