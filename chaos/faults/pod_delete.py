"""Delete pods through the API. Their endpoints go first, so this is not a crash: see container_kill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from chaos.fault import Evidence, Place
from chaos.permissions import Permission, looking_at_pods
from chaos.recovery import await_recovery, look_until, prove_landed
from chaos.replicas import Replica, Replicas, observe
from chaos.targets import Target, choose
from clients.kubernetes import ApiError
from core.errors import InconclusiveError


class PodDelete:
    """Deletes `count` pods of a selector; undone by their controller, which makes new ones.

    `grace_s` None leaves each pod its own grace period, 0 forces the deletion.
    """

    name: ClassVar[str] = "pod_delete"

    def __init__(self, place: Place, *, selector: str, count: int = 1, grace_s: int | None = None) -> None:
        self._place, self._selector, self._count, self._grace_s = place, selector, count, grace_s
        self._before = Replicas(pods=(), services={})
        self._targets: list[Target] = []
        self._injected_s = 0.0

    @property
    def permissions(self) -> Sequence[Permission]:
        """Return what it has to be allowed to do."""
        namespace = self._place.namespace
        delete = Permission(verb="delete", resource="pods", namespace=namespace)
        return [*looking_at_pods(namespace), delete]

    def select(self) -> Sequence[Target]:
        """Choose the pods; see Fault."""
        place = self._place
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
        self._targets = [
            Target(namespace=place.namespace, pod=p.name, uid=p.uid, node=p.node) for p in chosen
        ]
        return list(self._targets)

    def inject(self) -> None:
        """Delete each chosen pod, and only it: its UID is a precondition of the call."""
        cluster = self._place.cluster
        self._injected_s = self._place.now()
        for target in self._targets:
            # The delete call takes a pod that is not there for done: that would not be our doing.
            found = cluster.get("pods", target.pod, target.namespace)
            if found is None or found["metadata"]["uid"] != target.uid:
                raise InconclusiveError(f"pod {target.pod} ({target.uid}) went before it could be deleted")
            try:
                cluster.delete("pods", target.pod, target.namespace, grace_s=self._grace_s, uid=target.uid)
            except ApiError as error:
                if error.status != 409:
                    raise
                raise InconclusiveError(
                    f"pod {target.pod} was replaced before it could be deleted"
                ) from error

    def prove(self, timeout_s: float) -> Evidence:
        """Return the UIDs deleted and those of their replacements."""
        return prove_landed(
            self.name,
            lambda: look_until(
                self._place,
                self._selector,
                services=frozenset(self._before.services),
                description=f"pods {[t.pod for t in self._targets]} gone and as many new ones",
                judge=self._not_replaced,
                timeout_s=timeout_s,
            ),
            lambda seen: {
                "deleted": [t.uid for t in self._targets],
                "replacements": {p.name: p.uid for p in self._new(seen)},
            },
        )

    def recovered(self, timeout_s: float) -> Evidence:
        """Return since when as many replicas serve as before, the replacements among them."""
        return await_recovery(
            self._place,
            self._selector,
            before=self._before,
            renewed=self._not_replaced,
            injected_s=self._injected_s,
            timeout_s=timeout_s,
        )

    def _new(self, seen: Replicas) -> list[Replica]:
        known = {p.uid for p in self._before.pods}
        return [p for p in seen.live if p.uid not in known]

    def _not_replaced(self, seen: Replicas) -> str | None:
        for target in self._targets:
            left = seen.by_uid(target.uid)
            if left and not left.terminating:
                return f"pod {target.pod} ({target.uid}) is still there and not terminating"
        new = self._new(seen)
        if len(new) < len(self._targets):
            return f"{len(new)} new pods for {len(self._targets)} deleted"
        return None
