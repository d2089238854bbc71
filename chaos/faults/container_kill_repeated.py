"""Kill a container again and again: a crash loop, with the kubelet's growing back-off."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from chaos.container_end import evidence, not_killed
from chaos.fault import Evidence, Place
from chaos.killing import kill
from chaos.means import agents_of
from chaos.pod_fault import choose_containers
from chaos.recovery import await_recovery, look_until
from chaos.replicas import Replicas
from chaos.targets import Target
from core.errors import InconclusiveError, RefusedError, WaitTimeoutError
from core.waiting import wait_until

# How far an interval may differ from the one asked for, by the seed.
_JITTER = 0.25
_FEWEST = 2


class ContainerKillRepeated:
    """Kills the same containers for `duration_s`, about every `interval_s`; the kubelet starts them again.

    A kill waits until the one before was seen and its container runs again, however long the back-off of the
    kubelet makes that. The intervals differ by a quarter, by the seed. At least two kills must have been
    proved.
    """

    name: ClassVar[str] = "container_kill_repeated"
    needs_agents: ClassVar[bool] = True

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        count: int = 1,
        share: float | None = None,
        container: str | None = None,
        duration_s: float = 60.0,
        interval_s: float = 10.0,
    ) -> None:
        self._place, self._selector, self._count, self._container = place, selector, count, container
        self._share = share
        self._duration_s, self._interval_s = duration_s, interval_s
        self._before = Replicas(pods=(), services={})
        self._targets: list[Target] = []
        self._kills: list[dict[str, object]] = []
        self._unproved = ""
        self._injected_s = self._killed_s = 0.0

    def select(self) -> Sequence[Target]:
        """Choose the pods and their containers; see Fault."""
        agents_of(self._place, self.name)
        if not 0 < self._interval_s < self._duration_s:
            raise RefusedError(
                f"fault {self.name}: interval: expected 0 < seconds < its duration of {self._duration_s:g}, "
                f"got {self._interval_s:g}"
            )
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
        """Kill until the duration is over, and see each kill land before the next."""
        if not self._targets:
            raise RefusedError(f"fault {self.name} has no targets: select comes first")
        chance = random.Random(self._place.seed)  # noqa: S311 - repeatable on purpose, no secret
        self._injected_s = self._place.now()
        until_s = self._injected_s + self._duration_s
        while True:
            self._killed_s = self._place.now()
            for target in self._targets:
                kill(self._place, self.name, target)
            next_s = self._killed_s + self._interval_s * chance.uniform(1 - _JITTER, 1 + _JITTER)
            try:
                seen, seen_s = self._see(max(1.0, until_s - self._place.now()))
            except WaitTimeoutError as error:
                self._unproved = str(error)
                return
            self._kills.append(
                {"killed_s": self._killed_s, "seen_s": seen_s, "containers": evidence(self._targets, seen)}
            )
            if next_s >= until_s:
                return
            wait_until(
                "the next kill's time",
                lambda due_s=next_s: self._place.now() >= due_s,  # type: ignore[misc]
                self._interval_s * 2,
            )
            self._targets = [self._running_now(target, seen) for target in self._targets]

    def prove(self, timeout_s: float) -> Evidence:
        """Return each kill with what showed it. The last one may still be looked for until `timeout_s`."""
        if self._unproved:
            try:
                seen, seen_s = self._see(timeout_s)
            except WaitTimeoutError as error:
                raise InconclusiveError(
                    f"fault {self.name} was not seen landing: kill {len(self._kills) + 1}: {error}"
                ) from error
            self._kills.append(
                {"killed_s": self._killed_s, "seen_s": seen_s, "containers": evidence(self._targets, seen)}
            )
        if len(self._kills) < _FEWEST:
            raise InconclusiveError(
                f"fault {self.name}: expected at least {_FEWEST} kills within {self._duration_s:g} s, "
                f"got {len(self._kills)}"
            )
        return {"kills": self._kills}

    def recovered(self, timeout_s: float) -> Evidence:
        """Return since when every replica serves again after the last kill."""
        return await_recovery(
            self._place,
            self._selector,
            before=self._before,
            renewed=self._not_killed,
            injected_s=self._injected_s,
            timeout_s=timeout_s,
        )

    def _see(self, timeout_s: float) -> tuple[Replicas, float]:
        return look_until(
            self._place,
            self._selector,
            services=frozenset(self._before.services),
            description=f"a restart of the container in {[t.pod for t in self._targets]}",
            judge=lambda seen: self._not_killed(seen) or self._not_running(seen),
            timeout_s=timeout_s,
        )

    def _not_killed(self, seen: Replicas) -> str | None:
        return not_killed(self._targets, seen, injected_s=self._killed_s)

    def _not_running(self, seen: Replicas) -> str | None:
        for target in self._targets:
            pod = seen.by_uid(target.uid)
            now = pod.container(target.container) if pod else None
            if now is None or not now.started_at:
                return f"pod {target.pod}: its container does not run again"
        return None

    def _running_now(self, target: Target, seen: Replicas) -> Target:
        pod = seen.by_uid(target.uid)
        now = pod.container(target.container) if pod else None
        if now is None:
            raise InconclusiveError(f"pod {target.pod} ({target.uid}) has gone between two kills")
        return replace(target, container_id=now.container_id, restarts=now.restarts)
