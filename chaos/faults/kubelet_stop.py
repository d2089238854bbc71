"""Stop a node's kubelet: its pods go on, but nobody is told, and nothing is started or ended there."""

from __future__ import annotations

from typing import ClassVar

from chaos import nodes
from chaos.fault import Evidence
from chaos.kubelets import RENEWAL_S, silence
from chaos.nodes import Node
from chaos.stopped_program import StoppedProgram


class KubeletStop(StoppedProgram):
    """Stops the kubelet on `count` nodes (see NodeFault) until it is undone.

    Proved when the kubelet does not answer the API server and has let a renewal of its lease pass.
    """

    name: ClassVar[str] = "kubelet_stop"

    def _program(self, node: Node) -> str:  # noqa: ARG002
        return "kubelet"

    def _unhealthy(self, node: Node) -> str | None:  # noqa: ARG002
        return None

    def _landed(self, node: Node) -> str | Evidence:
        cluster = self._place.cluster
        quiet_s = self._heartbeats.quiet_s(node.name)
        why = silence(cluster, node.name)
        if why is None:
            return f"the kubelet of {node.name} answers"
        if quiet_s < RENEWAL_S * 1.2:
            return f"the lease of {node.name} was renewed {quiet_s:.1f} s ago, as usual"
        now = nodes.get(cluster, node.name)
        return {
            "silence": why,
            "lease_unchanged_s": quiet_s,
            "lease_renewed": self._heartbeats.renewed(node.name),
            "condition": now.condition if now else "gone",
        }
