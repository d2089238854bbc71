"""Stop a node's container runtime: what runs goes on, but nothing can be started, ended or looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from chaos import nodes
from chaos.fault import Evidence
from chaos.kubelets import RUNTIME, silence
from chaos.nodes import Node
from chaos.stopped_program import StoppedProgram
from core.errors import RefusedError

# What nodes call their runtime, and its process.
_PROGRAMS = {"containerd": "containerd", "cri-o": "crio"}


class RuntimeStop(StoppedProgram):
    """Stops the container runtime on `count` nodes (see NodeFault) until it is undone.

    Proved when the kubelet answers and its question to the runtime does not come back.
    """

    name: ClassVar[str] = "runtime_stop"

    def _require(self, chosen: Sequence[Node]) -> None:
        super()._require(chosen)
        for node in chosen:
            if node.runtime not in _PROGRAMS:
                raise RefusedError(
                    f"fault {self.name}: node {node.name}: expected a runtime of "
                    f"{', '.join(sorted(_PROGRAMS))}, got {node.runtime!r}"
                )

    def _program(self, node: Node) -> str:
        return _PROGRAMS[node.runtime]

    def _unhealthy(self, node: Node) -> str | None:
        return silence(self._place.cluster, node.name, RUNTIME)

    def _landed(self, node: Node) -> str | Evidence:
        cluster = self._place.cluster
        deaf = silence(cluster, node.name)
        if deaf is not None:
            return f"not the runtime alone: {deaf}"
        why = self._unhealthy(node)
        if why is None:
            return f"the runtime of {node.name} answers its kubelet"
        now = nodes.get(cluster, node.name)
        return {"runtime_silence": why, "condition": now.condition if now else "gone"}

    def _beats(self, before: str, renewed: str) -> bool:  # noqa: ARG002 - the kubelet went on renewing it
        return True
