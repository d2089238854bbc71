"""Kill a container's processes on its node with SIGKILL: what a crash looks like to the clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from chaos.container_end import evidence, not_killed
from chaos.fault import Evidence, Place
from chaos.killing import kill
from chaos.means import agents_of
from chaos.permissions import Permission, looking_at_pods
from chaos.pod_fault import choose_containers
from chaos.recovery import await_recovery, look_until, prove_landed
from chaos.replicas import Replicas
from chaos.targets import Target
from core.errors import RefusedError


class ContainerKill:
    """Kills one container in each of `count` pods of a selector, or of a `share`; the kubelet starts another.

    `container` names it; it may be left out for pods with only one.
    """

    name: ClassVar[str] = "container_kill"
    needs_agents: ClassVar[bool] = True

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        count: int = 1,
        share: float | None = None,
        container: str | None = None,
    ) -> None:
        self._place, self._selector, self._count, self._container = place, selector, count, container
        self._share = share
        self._before = Replicas(pods=(), services={})
        self._targets: list[Target] = []
        self._injected_s = 0.0

    @property
    def permissions(self) -> Sequence[Permission]:
        """Return what it has to be allowed to do."""
        return looking_at_pods(self._place.namespace)

    def select(self) -> Sequence[Target]:
        """Choose the pods and their containers; see Fault."""
        agents_of(self._place, self.name)
        self._before, targets = choose_containers(
            self._place,
            selector=self._selector,
            count=self._count,
            share=self._share,
            container=self._container,
        )
        self._targets = list(targets)
        return targets

    def inject(self) -> None:
        """Send SIGKILL to the processes of each chosen container, by its id."""
        if not self._targets:
            raise RefusedError(f"fault {self.name} has no targets: select comes first")
        self._injected_s = self._place.now()
        for target in self._targets:
            kill(self._place, self.name, target)

    def prove(self, timeout_s: float) -> Evidence:
        """Return per pod the restart count's rise and how the killed container ended."""
        return prove_landed(
            self.name,
            lambda: look_until(
                self._place,
                self._selector,
                services=frozenset(self._before.services),
                description=f"a restart of the container in {[t.pod for t in self._targets]}",
                judge=self._not_killed,
                timeout_s=timeout_s,
            ),
            lambda seen: {"containers": evidence(self._targets, seen)},
        )

    def recovered(self, timeout_s: float) -> Evidence:
        """Return since when every replica serves again, the restarted containers among them."""
        return await_recovery(
            self._place,
            self._selector,
            before=self._before,
            renewed=self._not_killed,
            injected_s=self._injected_s,
            timeout_s=timeout_s,
        )

    def _not_killed(self, seen: Replicas) -> str | None:
        return not_killed(self._targets, seen, injected_s=self._injected_s)
