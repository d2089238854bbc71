"""What the faults on whole nodes share: whom they hit, what undoes them, and when a node serves again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar
from uuid import uuid4

from chaos import nodes
from chaos.fault import Evidence, Place
from chaos.nodes import Node, Tenants
from chaos.permissions import Permission
from chaos.readiness import await_ready
from chaos.recovery import await_recovery
from chaos.replicas import Replicas, observe
from chaos.seeing import see_each
from chaos.targets import Target, how_many
from chaos.undo import Undo
from core.errors import InconclusiveError, RefusedError

# The agent's and the provider's own limit is later than the end of the fault by this.
SPARE_S = 90.0


class NodeFault(ABC):
    """Hits `count` nodes, or a `share`: of a label selector (`nodes`), or those with pods of `selector`.

    Never one of the control plane, nor all; none that would take a whole workload of the namespace with it,
    unless the guard allows that; and those that pods of the harness are on last.
    """

    name: ClassVar[str]
    permissions: ClassVar[Sequence[Permission]] = (
        *(Permission(verb=verb, resource="nodes") for verb in ("get", "list")),
        Permission(verb="list", resource="pods"),
        Permission(verb="get", resource="nodes", subresource="proxy"),
        Permission(verb="get", resource="leases", group="coordination.k8s.io", namespace=nodes.LEASES),
    )

    def __init__(
        self,
        place: Place,
        *,
        nodes: str = "",
        selector: str = "",
        count: int = 1,
        share: float | None = None,
        duration_s: float = 60.0,
    ) -> None:
        if duration_s <= 0:
            raise RefusedError(f"fault {self.name}: duration: expected seconds > 0, got {duration_s:g}")
        self._place, self._nodes, self._selector, self._count = place, nodes, selector, count
        self._share = share
        self._longest_s = duration_s + SPARE_S
        self._before = Replicas(pods=(), services={})
        self._chosen: list[Node] = []
        # The same for each call of `undo`, and another for each fault.
        self._mark = uuid4().hex[:8]
        self._injected_s = 0.0

    def select(self) -> Sequence[Target]:
        """Choose the nodes; see Fault."""
        place, cluster = self._place, self._place.cluster
        place.guard.admit_namespace(cluster, place.namespace)
        self._before = observe(cluster, place.namespace, self._selector)
        found = nodes.every(cluster, self._nodes)
        candidates: Sequence[Node] = [node for node in found if node.works]
        where = f"fault {self.name}: nodes {self._nodes or 'of any label'!r}"
        if found and not candidates:
            raise RefusedError(f"{where} are of the control plane alone, which no fault on nodes hits")
        if self._selector:
            where += f" with pods of {self._selector!r}"
            unready = self._before.unready()
            if unready:
                raise InconclusiveError(f"{where} are not steady: {unready}; nothing was touched")
            hosts = {pod.node for pod in self._before.live}
            candidates = [node for node in candidates if node.name in hosts]
        candidates = self._worth(candidates)
        self._chosen = nodes.choose(
            candidates,
            Tenants.of(cluster, place.namespace),
            count=how_many(self._count, self._share, len(candidates)),
            seed=place.seed,
            where=where,
            all_replicas_allowed=place.guard.all_replicas_allowed,
        )
        place.guard.admit_nodes(cluster, [node.name for node in self._chosen])
        self._require(self._chosen)
        return [Target(namespace="", pod="", uid=node.uid, node=node.name) for node in self._chosen]

    def undo(self) -> Sequence[Undo]:
        """Return a step per node; see UndoneFault."""
        return [self._undo(node) for node in self._chosen]

    def inject(self) -> None:
        """Do it to each chosen node; see Fault."""
        if not self._chosen:
            raise RefusedError(f"fault {self.name} has no targets: select comes first")
        for chosen in self._chosen:
            now = nodes.get(self._place.cluster, chosen.name)
            if now is None or now.uid != chosen.uid or not now.ready:
                raise InconclusiveError(f"node {chosen.name} ({chosen.uid}) is not there and Ready any more")
        self._prepare()
        self._injected_s = self._place.now()
        for node in self._chosen:
            self._do(node)

    def prove(self, timeout_s: float) -> Evidence:
        """Return per node what shows it; see Fault."""
        return self._see(self._landed, timeout_s, "landing")

    def prove_gone(self, timeout_s: float) -> Evidence:
        """Return per node what shows the end; see UndoneFault."""
        if not self._injected_s:
            return {"begun": False}
        return self._see(self._over, timeout_s, "ending")

    def recovered(self, timeout_s: float) -> Evidence:
        """Return since when the nodes are Ready and every replica serves again; see Fault."""
        if self._selector:
            return await_recovery(
                self._place,
                self._selector,
                before=self._before,
                renewed=self._objection,
                injected_s=self._injected_s,
                timeout_s=timeout_s,
            )
        return await_ready(
            self._place,
            before=self._before,
            objection=self._objection,
            injected_s=self._injected_s,
            timeout_s=timeout_s,
        )

    @abstractmethod
    def _undo(self, node: Node) -> Undo:
        """Return what undoes it on this node."""

    @abstractmethod
    def _do(self, node: Node) -> None:
        """Do it to this node."""

    @abstractmethod
    def _landed(self, node: Node) -> str | Evidence:
        """Return the evidence that it has landed, or what is missing."""

    @abstractmethod
    def _over(self, node: Node) -> str | Evidence:
        """Return the evidence that it has ended, or what is missing."""

    def _require(self, chosen: Sequence[Node]) -> None:  # noqa: ARG002 - for faults that need more
        """Refuse where the means are missing; nothing has been touched. Also asked in a dry run."""
        return

    def _worth(self, candidates: Sequence[Node]) -> Sequence[Node]:
        """Return the nodes that it makes sense to hit."""
        return candidates

    def _prepare(self) -> None:
        """Look at what the proof compares with."""
        return

    def _replaced(self) -> bool:
        """Tell whether a node that is gone has a successor, where that counts as its return."""
        return False

    def _renewed(self, seen: Replicas) -> str | None:  # noqa: ARG002 - for faults that end containers
        """Object while what the fault ended on the nodes has not begun again."""
        return None

    def _see(
        self, judge: Callable[[Node], str | Evidence], timeout_s: float, phase: str
    ) -> dict[str, object]:
        shown = see_each(
            self._chosen,
            judge,
            fault=self.name,
            phase=phase,
            named=lambda node: node.name,
            timeout_s=timeout_s,
            poll_s=self._place.poll_s,
        )
        return {"nodes": shown, "seen_s": self._place.now()}

    def _objection(self, seen: Replicas) -> str | None:
        for chosen in self._chosen:
            now = nodes.get(self._place.cluster, chosen.name)
            if now is None and self._replaced():
                continue
            if now is None or not now.ready or now.cordoned:
                why = "gone" if now is None else "cordoned" if now.cordoned else now.condition
                return f"node {chosen.name} is not Ready for pods: {why}"
        return self._renewed(seen)
