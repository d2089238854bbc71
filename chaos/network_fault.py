"""What faults of a pod's network share: acts in it, and measurements through it before, during and after."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

from chaos.agents import Act
from chaos.fault import Evidence, Place
from chaos.means import agents_of
from chaos.permissions import Permission, looking_at_pods
from chaos.pod_networks import PodNetwork, network_now, networks_of
from chaos.recovery import await_recovery
from chaos.replicas import Replicas, observe
from chaos.seeing import see_each
from chaos.targets import Target, choose
from chaos.undo import Undo
from core.errors import InconclusiveError, RefusedError

# Beyond the duration, the agent's own clock leaves time to prove and to undo it.
_SPARE_S = 90.0


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An act in a pod's network."""

    pod: PodNetwork
    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)


class NetworkFault(ABC):
    """A fault by acts in the networks of pods.

    A subclass says which, what it measures, and what that must show. The measurements are made by the agents
    with packets of their own; that a rule is there proves nothing.
    """

    name: ClassVar[str]

    def __init__(
        self, place: Place, *, selector: str, count: int, share: float | None, duration_s: float
    ) -> None:
        if not (math.isfinite(duration_s) and duration_s > 0):
            raise RefusedError(f"fault {self.name}: duration_s: expected seconds > 0, got {duration_s}")
        if share is not None and not 0 < share <= 1:
            raise RefusedError(f"fault {self.name}: share: expected 0 < share <= 1, got {share}")
        self.place, self._selector, self._count, self._share = place, selector, count, share
        self._longest_s = duration_s + _SPARE_S
        self._before = Replicas(pods=(), services={})
        self.pods: list[PodNetwork] = []
        self._planned: list[tuple[str, Planned]] = []
        self._healthy: dict[str, Evidence] = {}
        self._did: dict[str, Evidence] = {}
        self._mark = uuid4().hex[:8]
        self._injected_s = 0.0

    @property
    def permissions(self) -> Sequence[Permission]:
        """Return what it needs beside what every fault that lasts does."""
        return looking_at_pods(self.place.namespace)

    def select(self) -> Sequence[Target]:
        """Choose the pods; see Fault."""
        place, selector = self.place, self._selector
        agents_of(place, self.name)
        place.guard.admit_namespace(place.cluster, place.namespace)
        self._before = observe(place.cluster, place.namespace, selector)
        ready = len(self._before.live)
        count = self._count if self._share is None else math.ceil(self._share * ready)
        chosen = choose(
            self._before, namespace=place.namespace, selector=selector, count=count, seed=place.seed
        )
        place.guard.admit_selection(selector, selected=len(chosen), ready=ready)
        self.pods = networks_of(place, chosen)
        planned = self.plan()
        self._planned = [(f"{self.name}-{self._mark}-{n}", one) for n, one in enumerate(planned)]
        # Each pod that is acted in, the chosen ones first.
        return list(dict.fromkeys([pod.target for pod in self.pods] + [one.pod.target for one in planned]))

    def undo(self) -> Sequence[Undo]:
        """Return a step per act; see UndoneFault."""
        return [
            Undo(verb="agent", args={"node": one.pod.target.node, "act_id": act_id})
            for act_id, one in self._planned
        ]

    def inject(self) -> None:
        """Measure every target, then begin the acts. InconclusiveError where the fault would show nothing."""
        if not self._planned:
            raise RefusedError(f"fault {self.name} has no targets: select comes first")
        for pod in self.pods:
            before = self.measure(pod)
            objection = self.unfit(before)
            if objection:
                raise InconclusiveError(f"pod {pod.target.pod}, before it was touched: {objection}")
            self._healthy[pod.target.uid] = before
        self._injected_s = self.place.now()
        for act_id, one in self._planned:
            present = network_now(self.place, one.pod.target.pod, one.pod.target.uid)
            if present is None:
                raise InconclusiveError(f"pod {one.pod.target.pod} went before it was touched")
            target = present.target
            act = Act(
                id=act_id,
                kind=one.kind,
                node=target.node,
                container_id=target.container_id,
                params=one.params,
                longest_s=self._longest_s,
            )
            self._did[act_id] = agents_of(self.place, self.name).begin(act)

    def prove(self, timeout_s: float) -> Evidence:
        """Return, per pod, what was measured before and during it, and by which mechanisms it is done."""
        mechanisms = sorted({str(did.get("mechanism", "")) for did in self._did.values()} - {""})
        return {"mechanisms": mechanisms, **self._see("during", self.missing, timeout_s, "landing")}

    def prove_gone(self, timeout_s: float) -> Evidence:
        """Return, per pod, what is measured afterwards; a pod that was replaced took its network with it."""
        return self._see("after", self.left, timeout_s, "ending")

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
    def plan(self) -> Sequence[Planned]:
        """Return the acts on `pods`; RefusedError or InconclusiveError where there can be none."""

    @abstractmethod
    def measure(self, pod: PodNetwork) -> Evidence:
        """Measure what the fault disturbs; EnvironmentFailedError where that cannot be."""

    @abstractmethod
    def unfit(self, before: Evidence) -> str | None:
        """Return why a target could not show the fault, by what was measured before it, or None."""

    @abstractmethod
    def missing(self, before: Evidence, during: Evidence) -> str | None:
        """Return what a measurement lacks to show the fault, or None."""

    def left(self, before: Evidence, after: Evidence) -> str | None:  # noqa: ARG002 - some compare
        """Return what a measurement still shows of the fault, or None."""
        return self.unfit(after)

    def ask(self, pod: PodNetwork, question: str, **params: Any) -> Mapping[str, Any]:
        """Ask the agent of the pod's node."""
        return agents_of(self.place, self.name).ask(pod.target.node, question, **params)

    def _see(
        self,
        when: str,
        judge: Callable[[Evidence, Evidence], str | None],
        timeout_s: float,
        phase: str,
    ) -> dict[str, object]:
        def judged(pod: PodNetwork) -> str | Evidence:
            try:
                now = network_now(self.place, pod.target.pod, pod.target.uid)
                if now is None:
                    return {"replaced": True} if phase == "ending" else "it has gone"
                measured = self.measure(now)
            except RefusedError as error:  # such as a container that has no process just now
                return str(error)
            before = self._healthy[pod.target.uid]
            objection = judge(before, measured)
            return f"{objection}: {dict(measured)}" if objection else {"before": before, when: measured}

        shown = see_each(
            self.pods,
            judged,
            fault=self.name,
            phase=phase,
            named=lambda pod: pod.target.pod,
            timeout_s=timeout_s,
            poll_s=self.place.poll_s,
        )
        return {"pods": shown, "seen_s": self.place.now()}
