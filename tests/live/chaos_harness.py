"""A harness to be killed: it conducts one fault against the pods of chaos_ground.

`python chaos_harness.py SETTINGS.json`, with {kubeconfig, lab, folder, fault, keywords, seconds, seed}: it
writes events and the run's ledger into `folder`. With ECOCHAIN_VERIFY_PAUSE_AT it waits in that phase until
it is killed.
"""

from __future__ import annotations

import inspect
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from chaos.agents import Act
from chaos.agents_site import attach
from chaos.cluster_ledger import ClusterLedger
from chaos.disturbance import Laboratory
from chaos.experiment import conduct
from chaos.fault import Evidence, Fault, Place
from chaos.guard import Guard
from chaos.healer import Healer
from chaos.heartbeat import heartbeat
from chaos.ledger import Ledger
from chaos.means import agents_of
from chaos.permissions import Permission, looking_at_pods
from chaos.pod_fault import choose_containers
from chaos.registry import FAULTS
from chaos.stopping import StopSwitch
from chaos.targets import Target
from chaos.undo import Undo
from clients.kubernetes import Cluster
from core.errors import InconclusiveError, VerifyError
from core.files import append_line
from lab.powers import LabPowers

NAMESPACE = "chaos-ground"


class Halt:
    """Cordons a pod's node and freezes its container: an act of a node and a change by the API in one."""

    name: ClassVar[str] = "halt"

    def __init__(self, place: Place, *, selector: str) -> None:
        self._place, self._selector = place, selector
        self._targets: Sequence[Target] = ()
        self._id = f"freeze-{uuid4().hex[:8]}"

    @property
    def permissions(self) -> Sequence[Permission]:
        return [
            *looking_at_pods(self._place.namespace),
            Permission(verb="get", resource="nodes"),
            Permission(verb="patch", resource="nodes"),
        ]

    @property
    def _target(self) -> Target:
        return self._targets[0]

    def select(self) -> Sequence[Target]:
        _, self._targets = choose_containers(self._place, selector=self._selector, count=1, container=None)
        return self._targets

    def undo(self) -> Sequence[Undo]:
        node = self._target.node
        return [
            Undo(verb="uncordon", args={"node": node}),
            Undo(verb="agent", args={"node": node, "act_id": self._id}),
        ]

    def inject(self) -> None:
        target = self._target
        self._place.cluster.patch("nodes", target.node, None, {"spec": {"unschedulable": True}})
        agents_of(self._place, self.name).begin(
            Act(
                id=self._id,
                kind="freeze_container",
                node=target.node,
                container_id=target.container_id,
                # Longer than is looked: it is the watchdog that is to be seen.
                lifetime_s=60.0,
            )
        )

    def prove(self, timeout_s: float) -> Evidence:
        if not self._cordoned() or "T" not in self._states():
            raise InconclusiveError(f"not seen landing in {timeout_s:g} s")
        return {"states": self._states()}

    def prove_gone(self, timeout_s: float) -> Evidence:
        if self._cordoned() or "T" in self._states():
            raise InconclusiveError(f"still there after {timeout_s:g} s")
        return {"states": self._states()}

    def recovered(self, timeout_s: float) -> Evidence:
        return {"recovered_s": time.time(), "timeout_s": timeout_s}

    def _cordoned(self) -> bool:
        found = self._place.cluster.get("nodes", self._target.node)
        return bool(found and found["spec"].get("unschedulable"))

    def _states(self) -> list[str]:
        agents = agents_of(self._place, self.name)
        told = agents.ask(self._target.node, "processes", container_id=self._target.container_id)
        return sorted({str(one["state"]) for one in told["processes"]})


class Held:
    """The environment, which these tests have for themselves."""

    def check(self) -> None:
        """Find it held."""


def main(told: Mapping[str, Any]) -> None:
    kubeconfig, folder = Path(told["kubeconfig"]), Path(told["folder"])
    cluster = Cluster(kubeconfig)
    agents = attach(cluster)

    def emit(kind: str, **fields: object) -> None:
        append_line(folder / "events.jsonl", {"t": time.time(), "kind": kind, **fields})

    place = Place(
        cluster=cluster,
        namespace=NAMESPACE,
        # A drain leaves both replicas of a workload on one node.
        guard=Guard(environment="lab", chaos_allowed=True, all_replicas_allowed=True),
        seed=told["seed"],
        now=time.time,
        agents=agents,
        powers=LabPowers(told["lab"]),
    )
    faults: Mapping[str, Any] = {**FAULTS, Halt.name: Halt}
    kind = faults[told["fault"]]
    taken = inspect.signature(kind).parameters
    fault: Fault = kind(place, **{name: value for name, value in told["keywords"].items() if name in taken})
    with heartbeat(Cluster(kubeconfig), folder.name).acquire(20) as beat:
        conduct(
            fault,
            lease=Held(),
            ledger=Ledger(folder / "ledger.jsonl", time.time),
            emit=emit,
            now=time.time,
            prove_timeout_s=30,
            recovery_timeout_s=60,
            duration_s=told["seconds"],
            laboratory=Laboratory(
                cluster=cluster,
                healer=Healer(cluster, agents, place.powers),
                books=ClusterLedger(cluster),
                run_id=folder.name,
                heartbeat=beat,
                stopped=StopSwitch(folder, cluster).pulled,
            ),
        )


if __name__ == "__main__":
    try:
        main(json.loads(Path(sys.argv[1]).read_text()))
    except VerifyError as failure:
        sys.exit(f"{type(failure).__name__}: {failure}")
