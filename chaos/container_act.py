"""What faults share that are one act of the agents in a container of each target, undone by the agents."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import uuid4

from chaos.agents import Act
from chaos.fault import Evidence, Place
from chaos.means import agents_of
from chaos.permissions import Permission, looking_at_pods
from chaos.pod_fault import choose_containers
from chaos.recovery import await_recovery
from chaos.replicas import Container, Replicas, observe
from chaos.seeing import see_each
from chaos.targets import Target
from chaos.undo import Undo
from core.errors import InconclusiveError, RefusedError

# Beyond the duration, the agent's own clock leaves time to prove and to undo it.
_SPARE_S = 90.0


class ContainerAct(ABC):
    """A fault by an act of `kind`. A subclass says what it takes, and how its effect and its end show.

    What shows is asked of the agents by questions, which measure: not told by the act that was begun.
    """

    name: ClassVar[str]
    kind: ClassVar[str]

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        count: int,
        share: float | None,
        container: str | None,
        duration_s: float,
    ) -> None:
        if not (math.isfinite(duration_s) and duration_s > 0):
            raise RefusedError(f"fault {self.name}: duration_s: expected seconds > 0, got {duration_s}")
        self.place, self._selector, self._container = place, selector, container
        self._count, self._share = count, share
        self._longest_s = duration_s + _SPARE_S
        self._before = Replicas(pods=(), services={})
        self._targets: list[Target] = []
        self._mark = uuid4().hex[:8]
        self._injected_s = 0.0

    @property
    def permissions(self) -> Sequence[Permission]:
        """Return what it needs beside what every fault that lasts does."""
        return looking_at_pods(self.place.namespace)

    def select(self) -> Sequence[Target]:
        """Choose the pods and their containers; see Fault."""
        agents_of(self.place, self.name)
        self._before, targets = choose_containers(
            self.place,
            selector=self._selector,
            count=self._count,
            share=self._share,
            container=self._container,
        )
        self._targets = list(targets)
        return targets

    def undo(self) -> Sequence[Undo]:
        """Return a step per target; see UndoneFault."""
        return [
            Undo(verb="agent", args={"node": target.node, "act_id": self._act_id(target)})
            for target in self._targets
        ]

    def inject(self) -> None:
        """Look at every target, then begin the acts. InconclusiveError where it would show nothing."""
        if not self._targets:
            raise RefusedError(f"fault {self.name} has no targets: select comes first")
        for target in self._targets:
            objection = self.unfit(target)
            if objection:
                raise InconclusiveError(f"pod {target.pod}, before it was touched: {objection}")
        self._injected_s = self.place.now()
        for target in self._targets:
            act = Act(
                id=self._act_id(target),
                kind=self.kind,
                node=target.node,
                container_id=target.container_id,
                params=self.params(),
                longest_s=self._longest_s,
            )
            agents_of(self.place, self.name).begin(act)

    def prove(self, timeout_s: float) -> Evidence:
        """Return, per pod, what shows the effect."""
        return self._see(self.effect, timeout_s, "landing")

    def prove_gone(self, timeout_s: float) -> Evidence:
        """Return, per pod, what shows the end; of its new container where it was started again."""
        return self._see(self._ended, timeout_s, "ending")

    def recovered(self, timeout_s: float) -> Evidence:
        """Return since when every replica serves again; see Fault."""
        return await_recovery(
            self.place,
            self._selector,
            before=self._before,
            renewed=lambda _: None,
            injected_s=self._injected_s,
            timeout_s=timeout_s,
        )

    @abstractmethod
    def params(self) -> Mapping[str, Any]:
        """Return the act's parameters."""

    @abstractmethod
    def unfit(self, target: Target) -> str | None:
        """Look at a target before anything is done: why it could not show the effect, or None."""

    @abstractmethod
    def effect(self, target: Target) -> str | Evidence:
        """Look at a target: the evidence of the effect, or what is missing."""

    @abstractmethod
    def gone(self, target: Target, container: Container) -> str | Evidence:
        """Look at the target's present container: the evidence of the effect's end, or what is missing."""

    def ask(self, target: Target, question: str, container_id: str, **params: Any) -> Mapping[str, Any]:
        """Ask the agent of the target's node about a container; EnvironmentFailedError if it cannot tell."""
        agents = agents_of(self.place, self.name)
        return agents.ask(target.node, question, container_id=container_id, **params)

    def container_of(self, target: Target) -> Container | None:
        """Return the target's container as it is now, None when its pod has gone."""
        seen = observe(self.place.cluster, target.namespace, self._selector, frozenset())
        pod = seen.by_uid(target.uid)
        return pod.container(target.container) if pod else None

    def _ended(self, target: Target) -> str | Evidence:
        now = self.container_of(target)
        if now is None:
            return {"replaced": True}  # with all that was in it; the recovery looks at the replacement
        if not now.started_at or not now.container_id:
            return "its container does not run"
        return self.gone(target, now)

    def _see(
        self, judge: Callable[[Target], str | Evidence], timeout_s: float, phase: str
    ) -> dict[str, object]:
        def judged(target: Target) -> str | Evidence:
            try:
                return judge(target)
            except RefusedError as error:  # such as a container that has no process just now
                return str(error)

        shown = see_each(
            self._targets,
            judged,
            fault=self.name,
            phase=phase,
            named=lambda target: target.pod,
            timeout_s=timeout_s,
            poll_s=self.place.poll_s,
        )
        return {"pods": shown, "seen_s": self.place.now()}

    def _act_id(self, target: Target) -> str:
        return f"{self.name.replace('_', '-')}-{self._mark}-{target.pod}"[:120]
