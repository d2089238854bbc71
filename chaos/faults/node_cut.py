"""Cut a node off the network: nothing goes in or out but what undoes it, while all on it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from chaos import nodes
from chaos.agents import Act
from chaos.cluster_agents import PORT
from chaos.fault import Evidence
from chaos.kubelets import silence
from chaos.means import agents_of
from chaos.node_fault import NodeFault
from chaos.nodes import Node
from chaos.undo import Undo
from core.errors import InconclusiveError

_CONNECT_S = 1.0


class NodeCut(NodeFault):
    """Cuts `count` nodes (see NodeFault) off until it is undone; the port of the node's agent stays open.

    Proved when neither the API server nor any other node, where there is one, reaches the kubelet.
    """

    name: ClassVar[str] = "node_cut"

    def _require(self, chosen: Sequence[Node]) -> None:  # noqa: ARG002
        agents_of(self._place, self.name)

    def _undo(self, node: Node) -> Undo:
        return Undo(verb="agent", args={"node": node.name, "act_id": self._act_id(node)})

    def _prepare(self) -> None:
        cluster, hit = self._place.cluster, {node.name for node in self._chosen}
        others = [n for n in nodes.every(cluster) if n.works and n.ready and n.name not in hit]
        self._witness = others[0].name if others else None
        self._beats = {}
        for node in self._chosen:
            why = silence(cluster, node.name) or self._unreached(node)
            if why:
                raise InconclusiveError(f"node {node.name}, before it was touched: {why}")
            self._beats[node.name] = nodes.heartbeat(cluster, node.name)

    def _do(self, node: Node) -> None:
        agents_of(self._place, self.name).begin(
            Act(
                id=self._act_id(node),
                kind="cut_node",
                node=node.name,
                params={"port": PORT},
                longest_s=self._longest_s,
            )
        )

    def _landed(self, node: Node) -> str | Evidence:
        cluster = self._place.cluster
        why = silence(cluster, node.name)
        if why is None:
            return f"the API server reaches the kubelet of {node.name}"
        seen = self._unreached(node) if self._witness else "no other node was there to look"
        if seen is None:
            return f"node {self._witness} reaches the kubelet of {node.name}"
        now = nodes.get(cluster, node.name)
        return {
            "api_server": why,
            "witness": self._witness,
            "from_witness": seen,
            "condition": now.condition if now else "gone",
        }

    def _over(self, node: Node) -> str | Evidence:
        cluster = self._place.cluster
        why = silence(cluster, node.name) or self._unreached(node)
        if why:
            return why
        now, renewed = nodes.get(cluster, node.name), nodes.heartbeat(cluster, node.name)
        if now is None or not now.ready:
            return f"node {node.name} is not Ready: {now.condition if now else 'gone'}"
        if renewed == self._beats[node.name]:
            return f"node {node.name} has not renewed its lease since {renewed}"
        return {"ready": now.condition, "lease_renewed": renewed, "witness": self._witness}

    def _unreached(self, node: Node) -> str | None:
        """Return why another node does not reach this one's kubelet; None if it does, or if there is none."""
        if self._witness is None:
            return None
        agents = agents_of(self._place, self.name)
        told = agents.ask(
            self._witness, "exchange", address=node.address, port=node.kubelet_port, timeout_s=_CONNECT_S
        )
        outcome = told["attempts"][0]["outcome"]
        # Without words of its own an attempt ends with the connection.
        return None if outcome == "closed" else f"node {self._witness} gets {outcome} at {node.address}"

    def _act_id(self, node: Node) -> str:
        return f"{self.name}-{self._mark}-{node.name}"
