"""The guard: says no before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chaos.cluster_ledger import NAMESPACE
from clients.kubernetes import Cluster, Json
from core.errors import RefusedError

CHAOS_LABEL = "ecochain.io/chaos"
ARMED_UNTIL = "ecochain.io/chaos-armed-until"
LONGEST_ARMING = timedelta(hours=4)
PRODUCTION = "production"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
PROTECTED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", NAMESPACE})


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Where faults may act.

    `environment` is its name and `chaos_allowed` its setting; `own_namespaces` are the harness' own, which
    are never a target; `all_replicas_allowed` permits to hit every replica of a workload (or every node) at
    once. No more than `most_targets` and no larger a share than `most_share` (0 to 1) are hit by a fault.
    Where `needs_arming`, and in production always, the namespace must carry the annotation ARMED_UNTIL with a
    moment (ISO 8601, with its offset) that is to come, and within LONGEST_ARMING.
    """

    environment: str
    chaos_allowed: bool
    own_namespaces: frozenset[str] = frozenset()
    all_replicas_allowed: bool = False
    most_targets: int | None = None
    most_share: float | None = None
    needs_arming: bool = False
    now: Callable[[], datetime] = _utc_now

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
        if self.needs_arming or self.environment == PRODUCTION:
            self._require_arming(namespace, found)

    def admit_selection(self, selector: str, *, selected: int, ready: int) -> None:
        """Raise RefusedError when the selection would leave no ready replica, or hit too many."""
        self._admit_count(f"selector {selector!r}", "ready replicas", selected, ready)
        if selected >= ready and not self.all_replicas_allowed:
            raise RefusedError(
                f"selector {selector!r}: {selected} targets of {ready} ready replicas would leave none; "
                "choose fewer or allow all replicas explicitly"
            )

    def admit_nodes(self, cluster: Cluster, names: Sequence[str]) -> None:
        """Raise RefusedError when a node is of the control plane, or when no or too few nodes are left."""
        nodes = cluster.list("nodes")
        ours = [node for node in nodes if CONTROL_PLANE in (node["metadata"].get("labels") or {})]
        held = sorted({str(node["metadata"]["name"]) for node in ours} & set(names))
        if held:
            raise RefusedError(f"node {', '.join(held)} is protected: it holds the control plane")
        working = len(nodes) - len(ours)
        self._admit_count(f"nodes {', '.join(names)}", "nodes", len(names), working)
        if len(names) >= working and not self.all_replicas_allowed:
            raise RefusedError(
                f"nodes {', '.join(names)}: {len(names)} targets of {working} nodes would leave none; "
                "choose fewer or allow all replicas explicitly"
            )

    def _admit_count(self, what: str, of: str, selected: int, there: int) -> None:
        if self.most_targets is not None and selected > self.most_targets:
            raise RefusedError(
                f"{what}: expected at most {self.most_targets} targets (chaos.most_targets), got {selected}"
            )
        if self.most_share is not None and there and selected / there > self.most_share:
            raise RefusedError(
                f"{what}: expected at most a share of {self.most_share:g} (chaos.most_share), "
                f"got {selected} of {there} {of}"
            )

    def _require_arming(self, namespace: str, found: Json) -> None:
        text = (found["metadata"].get("annotations") or {}).get(ARMED_UNTIL)
        expected = (
            f"a moment within {LONGEST_ARMING.total_seconds() / 3600:g} h from now, such as "
            f"{(self.now() + timedelta(hours=1)).isoformat(timespec='seconds')}"
        )
        try:
            until = datetime.fromisoformat(str(text))
        except ValueError:
            until = None
        if until is None or until.tzinfo is None or not self.now() < until <= self.now() + LONGEST_ARMING:
            raise RefusedError(
                f"{self.environment} is not armed: annotation {ARMED_UNTIL} of namespace {namespace!r}: "
                f"expected {expected}, got {text!r}"
            )
