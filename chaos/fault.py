"""The fault protocol: select → inject → prove it landed → hold → undo → prove its end → see it serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from chaos.agents import Agents
from chaos.guard import Guard
from chaos.powers import Powers
from chaos.targets import Target
from chaos.undo import Undo
from clients.kubernetes import Cluster

Evidence = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where faults act: a namespace of a cluster, under a guard, with a seed and the run's clock.

    `agents` are None until they are installed, `powers` where the provider has none. `poll_s` is how often
    a wait looks, and so the resolution of what is timed; `settle_s` is how long a recovered state must hold
    to be believed.
    """

    cluster: Cluster
    namespace: str
    guard: Guard
    seed: int
    now: Callable[[], float]
    agents: Agents | None = None
    powers: Powers | None = None
    poll_s: float = field(default=0.1)
    settle_s: float = field(default=1.0)


class Fault(Protocol):
    """One disturbance. Constructed with a Place and keyword settings; used once, in this order."""

    name: ClassVar[str]

    def select(self) -> Sequence[Target]:
        """Choose the targets and touch nothing.

        Raises RefusedError by the guard, InconclusiveError for zero or too few targets.
        """

    def inject(self) -> None:
        """Do it to the selected targets. InconclusiveError when a target has gone meanwhile."""

    def prove(self, timeout_s: float) -> Evidence:
        """Return evidence from another source than the act itself; InconclusiveError if none appears."""

    def recovered(self, timeout_s: float) -> Evidence:
        """Wait until every replica serves again and return since when (`recovered_s`, run's clock).

        Raises WaitTimeoutError: the workload did not come back in time.
        """


class UndoneFault(Fault, Protocol):
    """A fault that lasts until it is undone. Kubernetes undoes the others (a kill, a deletion) by itself."""

    def undo(self) -> Sequence[Undo]:
        """Return what undoes it, as data: after `select` and before `inject`, and the same each time.

        It is written to the ledgers before the act, and carried out by the healer, in reverse order.
        """

    def prove_gone(self, timeout_s: float) -> Evidence:
        """Return evidence, from the source that showed the effect, that it has ended.

        InconclusiveError if it does not show: something was left behind.
        """
