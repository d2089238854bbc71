"""What the faults on the control plane share: the provider pauses a component, until it is undone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from chaos import nodes
from chaos.fault import Evidence, Place
from chaos.means import powers_of
from chaos.node_fault import SPARE_S
from chaos.permissions import Permission
from chaos.powers import Powers
from chaos.readiness import await_ready, look
from chaos.replicas import Replicas
from chaos.seeing import see_each
from chaos.targets import Target
from chaos.undo import Undo
from core.errors import InconclusiveError

POWER = "pause"
ANSWER_S = 2.0


class ControlPlaneFault(ABC):
    """Pauses `component` until it is undone; refused by name where the control plane is managed."""

    name: ClassVar[str]
    component: ClassVar[str]
    permissions: ClassVar[Sequence[Permission]] = (
        Permission(verb="list", resource="nodes"),
        Permission(verb="list", resource="pods"),
    )

    def __init__(self, place: Place, *, duration_s: float = 30.0) -> None:
        self._place = place
        self._longest_s = duration_s + SPARE_S
        self._before = Replicas(pods=(), services={})
        self._ready: set[str] = set()
        self._injected_s = 0.0

    def select(self) -> Sequence[Target]:
        """Refuse, or name the component; see Fault."""
        place = self._place
        place.guard.admit_namespace(place.cluster, place.namespace)
        self._powers()
        self._before = look(place)
        self._ready = {node.name for node in nodes.every(place.cluster) if node.ready}
        return [Target(namespace="", pod=self.component, uid="", node="")]

    def undo(self) -> Sequence[Undo]:
        """Return the step that lets the component go on; see UndoneFault."""
        alone = self._powers().ends_with_owner
        args = {"what": POWER, "component": self.component, "ends_with_owner": alone}
        return [Undo(verb="provider", args=args)]

    def inject(self) -> None:
        """Pause it; InconclusiveError if it does not do its work before."""
        why = self._broken(self.component)
        if not isinstance(why, str):
            raise InconclusiveError(
                f"fault {self.name}: {self.component} did not work before it was touched: {why}"
            )
        self._injected_s = self._place.now()
        self._powers().begin(POWER, self._longest_s, component=self.component)

    def prove(self, timeout_s: float) -> Evidence:
        """Return what does not work any more; see Fault."""
        return self._see(self._broken, timeout_s, "landing")

    def prove_gone(self, timeout_s: float) -> Evidence:
        """Return what works again; see UndoneFault."""
        if not self._injected_s:
            return {"begun": False}
        return self._see(self._works, timeout_s, "ending")

    def recovered(self, timeout_s: float) -> Evidence:
        """Return since when the nodes and all pods of the namespace are Ready; see Fault."""
        return await_ready(
            self._place,
            before=self._before,
            objection=self._nodes_not_ready,
            injected_s=self._injected_s,
            timeout_s=timeout_s,
        )

    @abstractmethod
    def _broken(self, component: str) -> str | Evidence:
        """Return the evidence that the component does not do its work, or what it did."""

    @abstractmethod
    def _works(self, component: str) -> str | Evidence:
        """Return the evidence that it does its work, or what is missing."""

    def _powers(self) -> Powers:
        return powers_of(
            self._place, self.name, f"{POWER}:{self.component}", "a managed control plane is out of reach"
        )

    def _see(self, judge: Callable[[str], str | Evidence], timeout_s: float, phase: str) -> dict[str, object]:
        shown = see_each(
            [self.component],
            judge,
            fault=self.name,
            phase=phase,
            named=str,
            timeout_s=timeout_s,
            poll_s=self._place.poll_s,
        )
        return {"components": shown, "seen_s": self._place.now()}

    def _nodes_not_ready(self, seen: Replicas) -> str | None:  # noqa: ARG002 - it is the nodes that count
        ready = {node.name for node in nodes.every(self._place.cluster) if node.ready}
        return (
            f"nodes {', '.join(sorted(self._ready - ready))} are not Ready" if self._ready - ready else None
        )
