"""The guard: says no before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass

from clients.kubernetes import Cluster
from core.errors import RefusedError

CHAOS_LABEL = "ecochain.io/chaos"
PROTECTED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Where faults may act.

    `environment` is its name and `chaos_allowed` its setting; `own_namespaces` are the harness' own, which
    are never a target; `all_replicas_allowed` permits to hit every replica of a workload at once.
    """

    environment: str
    chaos_allowed: bool
    own_namespaces: frozenset[str] = frozenset()
    all_replicas_allowed: bool = False

    def admit_namespace(self, cluster: Cluster, namespace: str) -> None:
        """Raise RefusedError unless the environment and the namespace allow faults."""
        if not self.chaos_allowed:
            raise RefusedError(
                f"environment {self.environment!r} does not allow faults: its setting chaos_allowed is false"
            )
        if namespace in PROTECTED_NAMESPACES | self.own_namespaces:
            raise RefusedError(f"namespace {namespace!r} is protected: no fault acts there")
        found = cluster.get("namespaces", namespace)
        if found is None:
            raise RefusedError(f"namespace {namespace!r} does not exist in environment {self.environment!r}")
        label = (found["metadata"].get("labels") or {}).get(CHAOS_LABEL)
        if label != "allowed":
            raise RefusedError(
                f"namespace {namespace!r} lacks the label {CHAOS_LABEL}=allowed (it has {label!r}); "
                "label it if faults may act there"
            )

    def admit_selection(self, selector: str, *, selected: int, ready: int) -> None:
        """Raise RefusedError when the selection would leave no ready replica."""
        if selected >= ready and not self.all_replicas_allowed:
            raise RefusedError(
                f"selector {selector!r}: {selected} targets of {ready} ready replicas would leave none; "
                "choose fewer or allow all replicas explicitly"
            )
