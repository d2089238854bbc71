"""A program of a node that is stopped by SIGSTOP: it answers nobody, and keeps all that it has."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from chaos import nodes
from chaos.agents import Act
from chaos.fault import Evidence
from chaos.kubelets import Heartbeats, silence
from chaos.means import agents_of
from chaos.node_fault import NodeFault
from chaos.nodes import Node
from chaos.undo import Undo
from core.errors import InconclusiveError


class StoppedProgram(NodeFault):
    """Stops a program on the nodes by their agents; SIGCONT undoes it."""

    def _require(self, chosen: Sequence[Node]) -> None:  # noqa: ARG002
        agents_of(self._place, self.name)

    def _undo(self, node: Node) -> Undo:
        return Undo(verb="agent", args={"node": node.name, "act_id": self._act_id(node)})

    def _prepare(self) -> None:
        cluster = self._place.cluster
        self._heartbeats = Heartbeats(cluster)
        for node in self._chosen:
            why = silence(cluster, node.name) or self._unhealthy(node)
            if why:
                raise InconclusiveError(f"node {node.name}, before it was touched: {why}")
            self._heartbeats.quiet_s(node.name)

    def _do(self, node: Node) -> None:
        agents_of(self._place, self.name).begin(
            Act(
                id=self._act_id(node),
                kind="freeze_program",
                node=node.name,
                params={"program": self._program(node)},
                longest_s=self._longest_s,
            )
        )

    def _over(self, node: Node) -> str | Evidence:
        cluster = self._place.cluster
        why = silence(cluster, node.name) or self._unhealthy(node)
        if why:
            return why
        before = self._heartbeats.renewed(node.name)
        self._heartbeats.quiet_s(node.name)
        now = nodes.get(cluster, node.name)
        if now is None or not now.ready:
            return f"node {node.name} is not Ready: {now.condition if now else 'gone'}"
        renewed = self._heartbeats.renewed(node.name)
        if not self._beats(before, renewed):
            return f"node {node.name} has not renewed its lease since {before}"
        return {"answers": True, "ready": now.condition, "lease_renewed": renewed}

    @abstractmethod
    def _program(self, node: Node) -> str:
        """Return the name of the program, as its process has it."""

    @abstractmethod
    def _unhealthy(self, node: Node) -> str | None:
        """Return why what the program does does not work, beside the kubelet's answer; None if it does."""

    def _beats(self, before: str, renewed: str) -> bool:
        return renewed != before

    def _act_id(self, node: Node) -> str:
        return f"{self.name}-{self._mark}-{node.name}"
