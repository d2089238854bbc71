"""A fault that lasts, in memory: it cordons a node of a fake cluster, and may be made to misbehave."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, cast

from chaos.cluster_ledger import ClusterLedger
from chaos.disturbance import Disturbance, Laboratory
from chaos.experiment import Conducted, conduct
from chaos.fault import Evidence
from chaos.healer import Healer
from chaos.ledger import Ledger
from chaos.permissions import Permission
from chaos.targets import Target
from chaos.undo import Undo
from clients.kubernetes import Cluster
from core.errors import InconclusiveError
from tests.chaos.fake_cluster import FakeCluster

NODE = "node1"


def cluster_with_node() -> FakeCluster:
    """Return a cluster with a node that takes pods."""
    cluster = FakeCluster()
    cluster.put("nodes", {"metadata": {"name": NODE, "uid": "u1"}, "spec": {}})
    return cluster


def cordoned(cluster: FakeCluster, node: str = NODE) -> bool:
    """Tell whether the node takes no pods."""
    found = cluster.get("nodes", node)
    assert found is not None
    return bool(found["spec"].get("unschedulable"))


class Cordon:
    """Cordons the node. `effective` false: it does nothing; `during` is called when it has been injected."""

    name: ClassVar[str] = "cordon"
    permissions: ClassVar[Sequence[Permission]] = (Permission(verb="patch", resource="nodes"),)

    def __init__(
        self,
        cluster: FakeCluster,
        *,
        node: str = NODE,
        effective: bool = True,
        during: Callable[[], None] = lambda: None,
    ) -> None:
        self._cluster, self._node, self._effective, self._during = cluster, node, effective, during

    def select(self) -> Sequence[Target]:
        """Choose the node."""
        return [Target(namespace="", pod="", uid="u1", node=self._node)]

    def undo(self) -> Sequence[Undo]:
        """Uncordon it."""
        return [Undo(verb="uncordon", args={"node": self._node})]

    def inject(self) -> None:
        """Cordon it."""
        if self._effective:
            self._cluster.patch("nodes", self._node, None, {"spec": {"unschedulable": True}})
        self._during()

    def prove(self, timeout_s: float) -> Evidence:
        """See it cordoned."""
        if not cordoned(self._cluster, self._node):
            raise InconclusiveError(f"not seen landing in {timeout_s:g} s")
        return {"cordoned": self._node}

    def prove_gone(self, timeout_s: float) -> Evidence:
        """See it uncordoned."""
        if cordoned(self._cluster, self._node):
            raise InconclusiveError(f"still cordoned after {timeout_s:g} s")
        return {"uncordoned": self._node}

    def recovered(self, timeout_s: float) -> Evidence:
        """Take it for recovered."""
        return {"recovered_s": time.time(), "timeout_s": timeout_s}


class Held:
    """A lease that is held."""

    def check(self) -> None:
        """Say nothing."""


class Events:
    """A timeline in memory."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.fields: list[dict[str, object]] = []

    def __call__(self, kind: str, **fields: object) -> None:
        """Keep an event."""
        self.kinds.append(kind.removeprefix("fault."))
        self.fields.append(fields)


def laboratory(
    cluster: FakeCluster,
    *,
    stopped: Callable[[], str | None] = lambda: None,
    aborted: Callable[[], str | None] = lambda: None,
    undone: Callable[[], str | None] = lambda: None,
    heartbeat: Held | None = None,
) -> Laboratory:
    """Return what undoes faults in a cluster in memory."""
    client = cast("Cluster", cluster)
    return Laboratory(
        healer=Healer(client),
        books=ClusterLedger(client),
        cluster=client,
        run_id="run",
        heartbeat=heartbeat or Held(),
        stopped=stopped,
        aborted=aborted,
        undone=undone,
    )


def disturbance(fault: Cordon, cluster: FakeCluster, folder: Path) -> Disturbance:
    """Return the fault on its way, before its first phase."""
    return Disturbance(
        fault=fault,
        lease=Held(),
        ledger=Ledger(folder / "ledger.jsonl", time.time),
        emit=Events(),
        now=time.time,
        prove_timeout_s=0.2,
        laboratory=laboratory(cluster),
    )


def play(
    fault: Cordon,
    cluster: FakeCluster,
    folder: Path,
    *,
    duration_s: float = 0.0,
    stopped: Callable[[], str | None] = lambda: None,
    aborted: Callable[[], str | None] = lambda: None,
    undone: Callable[[], str | None] = lambda: None,
    events: Events | None = None,
    lease: Held | None = None,
    heartbeat: Held | None = None,
) -> Conducted:
    """Conduct the fault with a ledger in `folder`."""
    return conduct(
        fault,
        lease=lease or Held(),
        ledger=Ledger(folder / "ledger.jsonl", time.time),
        emit=events or Events(),
        now=time.time,
        prove_timeout_s=0.2,
        recovery_timeout_s=0.2,
        duration_s=duration_s,
        laboratory=laboratory(cluster, stopped=stopped, aborted=aborted, undone=undone, heartbeat=heartbeat),
    )
