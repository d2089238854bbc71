"""Kill a container's processes on its node with SIGKILL: what a crash looks like to the clients."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from chaos.fault import Evidence, Place
from chaos.recovery import await_recovery, look_until, prove_landed
from chaos.replicas import Container, Replica, Replicas, observe
from chaos.targets import Target, choose
from core.errors import InconclusiveError, RefusedError

SIGKILL_EXIT_CODE = 137  # 128 + SIGKILL, as the container runtimes report it


class ContainerKill:
    """Kills one container in each of `count` pods of a selector; undone by the kubelet, which restarts it.

    `container` names it; it may be left out for pods with only one. Needs the provider's NodeAccess.
    """

    name: ClassVar[str] = "container_kill"

    def __init__(self, place: Place, *, selector: str, count: int = 1, container: str | None = None) -> None:
        self._place, self._selector, self._count, self._container = place, selector, count, container
        self._before = Replicas(pods=(), services={})
        self._targets: list[Target] = []
        self._injected_s = 0.0

    def select(self) -> Sequence[Target]:
        """Choose the pods and their containers; see Fault."""
        place = self._place
        if place.node_access is None:
            raise RefusedError(
                f"fault {self.name} needs access to the nodes, which the provider of environment "
                f"{place.guard.environment!r} does not give"
            )
        place.guard.admit_namespace(place.cluster, place.namespace)
        self._before = observe(place.cluster, place.namespace, self._selector)
        chosen = choose(
            self._before,
            namespace=place.namespace,
            selector=self._selector,
            count=self._count,
            seed=place.seed,
        )
        place.guard.admit_selection(self._selector, selected=len(chosen), ready=len(self._before.live))
        self._targets = [self._target(p) for p in chosen]
        return list(self._targets)

    def inject(self) -> None:
        """Send SIGKILL to the processes of each chosen container, by its id."""
        access = self._place.node_access
        if access is None or not self._targets:
            raise RefusedError(f"fault {self.name} has no targets: select comes first")
        self._injected_s = self._place.now()
        for target in self._targets:
            access.kill_container(target.node, target.container_id)

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
            self._evidence,
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

    def _target(self, pod: Replica) -> Target:
        names = [c.name for c in pod.containers]
        if self._container is None and len(names) != 1:
            raise RefusedError(f"pod {pod.name} has the containers {names}: name the one to kill")
        found = pod.container(self._container or names[0])
        if found is None or not found.container_id:
            raise InconclusiveError(f"pod {pod.name} runs no container {self._container!r}, only {names}")
        return Target(
            namespace=self._place.namespace,
            pod=pod.name,
            uid=pod.uid,
            node=pod.node,
            container=found.name,
            container_id=found.container_id,
            restarts=found.restarts,
        )

    def _not_killed(self, seen: Replicas) -> str | None:
        for target in self._targets:
            pod = seen.by_uid(target.uid)
            now = pod.container(target.container) if pod else None
            if now is None:
                return f"pod {target.pod} ({target.uid}) shows no container {target.container}"
            if now.restarts <= target.restarts:
                return f"pod {target.pod} has {now.restarts} restarts, {target.restarts} before"
            objection = self._other_end(target, now)
            if objection:
                return objection
        return None

    def _other_end(self, target: Target, now: Container) -> str | None:
        """Object to a restart that was not this kill's doing."""
        if now.ended_id == target.container_id:
            if now.ended_code == SIGKILL_EXIT_CODE and now.ended_reason != "OOMKilled":
                return None
            return f"pod {target.pod}: it ended with {now.ended_code} ({now.ended_reason}), not by this kill"
        if now.container_id in {"", target.container_id}:
            return f"pod {target.pod}: no new container yet"
        # The record of the end has been overwritten: a new container, started no earlier than the kill
        # (the kubelet's stamps are whole seconds), is the next best source.
        started_s = datetime.fromisoformat(now.started_at).timestamp() if now.started_at else 0.0
        if started_s < int(self._injected_s):
            return (
                f"pod {target.pod}: its container started at {now.started_at or 'no time'}, before the kill"
            )
        return None

    def _evidence(self, seen: Replicas) -> Evidence:
        rises = {}
        for target in self._targets:
            pod = seen.by_uid(target.uid)
            now = pod.container(target.container) if pod else None
            if now:
                rises[target.pod] = {
                    "uid": target.uid,
                    "restarts": [target.restarts, now.restarts],
                    "exit_code": now.ended_code if now.ended_id == target.container_id else None,
                    "killed": target.container_id,
                    "running": now.container_id,
                }
        return {"containers": rises}
