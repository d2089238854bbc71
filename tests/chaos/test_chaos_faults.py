"""The contract that every fault keeps, and what is particular to each."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fake_cluster import Killers, Workload

from chaos.experiment import conduct
from chaos.fault import Fault, Place
from chaos.guard import Guard
from chaos.ledger import Ledger
from chaos.registry import FAULTS
from core.errors import EnvironmentFailedError, InconclusiveError, RefusedError, WaitTimeoutError

# Those that Kubernetes undoes, and that one workload of the fake cluster shows.
EVERY = pytest.mark.parametrize("name", ["container_kill", "pod_delete"])


class Held:
    """A lease that is held, or lost."""

    def __init__(self, lost: bool = False) -> None:
        self.lost = lost

    def check(self) -> None:
        if self.lost:
            raise EnvironmentFailedError("the lease is lost")


class Timeline:
    def __init__(self) -> None:
        self.events: list[dict] = []

    def __call__(self, kind: str, **fields: object) -> None:
        self.events.append({"t": time.time(), "kind": kind, **fields})

    @property
    def kinds(self) -> list[str]:
        return [e["kind"] for e in self.events]

    def one(self, kind: str) -> dict:
        (event,) = (e for e in self.events if e["kind"] == kind)
        return event


def place(cluster: Workload, *, seed: int = 7, settle_s: float = 0.1, **guard: object) -> Place:
    return Place(
        cluster=cluster,
        namespace=cluster.NAMESPACE,
        guard=Guard(**{"environment": "lab", "chaos_allowed": True, **guard}),
        seed=seed,
        now=time.time,
        agents=Killers(cluster),
        poll_s=0.01,
        settle_s=settle_s,
    )


def make(name: str, cluster: Workload, selector: str = Workload.SELECTOR, **settings: object) -> Fault:
    return FAULTS[name](place(cluster), selector=selector, **settings)


def run(fault: Fault, tmp_path: Path, timeline: Timeline, *, lost: bool = False, timeout_s: float = 2.0):
    return conduct(
        fault,
        lease=Held(lost),
        ledger=Ledger(tmp_path / "ledger.jsonl", time.time),
        emit=timeline,
        now=time.time,
        prove_timeout_s=timeout_s,
        recovery_timeout_s=timeout_s,
    )


def outstanding(tmp_path: Path) -> list[dict]:
    return Ledger(tmp_path / "ledger.jsonl", time.time).outstanding()


@EVERY
def test_a_fault_goes_through_its_phases_in_order(name: str, tmp_path: Path) -> None:
    """Selected, injected, proved, healed, gone, recovered; and the ledger is settled."""
    timeline = Timeline()
    run(make(name, Workload()), tmp_path, timeline)
    assert timeline.kinds == [
        f"fault.{phase}" for phase in ("selected", "injected", "proved", "healed", "gone", "recovered")
    ]
    assert len({e["fault_id"] for e in timeline.events}) == 1
    assert outstanding(tmp_path) == []


@EVERY
def test_recovery_is_timed_to_the_endpoint_not_to_the_pod(name: str, tmp_path: Path) -> None:
    """Notice, readiness and routing each take a lag; the time that the state must hold is not counted."""
    cluster, timeline = Workload(lag_s=0.15), Timeline()
    fault = FAULTS[name](place(cluster, settle_s=0.8), selector=Workload.SELECTOR)
    conducted = run(fault, tmp_path, timeline, timeout_s=5)
    took_s = timeline.one("fault.recovered")["t"] - timeline.one("fault.injected")["t"]
    assert took_s == pytest.approx(conducted.recovery["after_s"], abs=0.02)
    assert 0.45 <= took_s < 0.45 + 0.6


@EVERY
def test_a_pod_that_is_ready_but_not_routed_to_is_no_recovery(name: str, tmp_path: Path) -> None:
    """Ready replicas as many as before are not enough while the EndpointSlice lacks one."""
    cluster, timeline = Workload(), Timeline()
    cluster.rejoins = False
    with pytest.raises(WaitTimeoutError, match="EndpointSlice"):
        run(make(name, cluster), tmp_path, timeline, timeout_s=0.6)
    assert timeline.kinds[-1] == "fault.unrecovered"
    assert outstanding(tmp_path)[0]["fault"] == name


@EVERY
def test_an_ineffective_fault_is_not_proved(name: str, tmp_path: Path) -> None:
    """An act that changed nothing is inconclusive, although every replica looks recovered."""
    cluster, timeline = Workload(), Timeline()
    cluster.deletes = cluster.restarts = False
    with pytest.raises(InconclusiveError, match="not seen landing"):
        run(make(name, cluster), tmp_path, timeline, timeout_s=0.2)
    assert timeline.kinds == ["fault.selected", "fault.injected", "fault.failed"]


@EVERY
@pytest.mark.parametrize(
    ("selector", "count"), [("app=nothing", 1), (Workload.SELECTOR, 4)], ids=["zero", "too few"]
)
def test_zero_or_too_few_targets_are_inconclusive_and_touch_nothing(
    name: str, selector: str, count: int, tmp_path: Path
) -> None:
    """No pod is harmed, nothing enters the ledger, and the timeline says why."""
    cluster, timeline = Workload(), Timeline()
    with pytest.raises(InconclusiveError, match="nothing was touched"):
        run(make(name, cluster, selector, count=count), tmp_path, timeline)
    assert cluster.calls == []
    assert timeline.kinds == ["fault.failed"]
    assert not (tmp_path / "ledger.jsonl").exists()


@EVERY
def test_an_unsteady_workload_is_not_touched(name: str, tmp_path: Path) -> None:
    """With a replica unready beforehand nobody could tell when the workload is back."""
    cluster = Workload()
    cluster.set_ready("auth-2", False)
    with pytest.raises(InconclusiveError, match="auth-2 is not Ready"):
        run(make(name, cluster), tmp_path, Timeline())
    assert cluster.calls == []


@EVERY
def test_every_replica_at_once_is_refused(name: str, tmp_path: Path) -> None:
    """A fault leaves at least one replica, unless the guard allows all."""
    cluster = Workload()
    with pytest.raises(RefusedError, match="3 targets of 3 ready"):
        run(make(name, cluster, count=3), tmp_path, Timeline())
    assert cluster.calls == []
    permitted = FAULTS[name](place(cluster, all_replicas_allowed=True), selector=Workload.SELECTOR, count=3)
    assert len(run(permitted, tmp_path, Timeline()).targets) == 3


@EVERY
@pytest.mark.parametrize(
    ("guard", "allowed", "words"),
    [
        ({"chaos_allowed": False}, True, "'lab' does not allow faults"),
        ({}, False, "'ecochain' lacks the label"),
        ({"own_namespaces": frozenset({"ecochain"})}, True, "'ecochain' is protected"),
    ],
    ids=["environment", "label", "own namespace"],
)
def test_the_guard_refuses_before_anything_is_touched(
    name: str, guard: dict, allowed: bool, words: str, tmp_path: Path
) -> None:
    """The refusal names what said no."""
    cluster = Workload(allowed=allowed)
    fault = FAULTS[name](place(cluster, **guard), selector=Workload.SELECTOR)
    with pytest.raises(RefusedError, match=words):
        run(fault, tmp_path, Timeline())
    assert cluster.calls == []


def test_the_system_namespace_is_protected_even_when_labelled() -> None:
    """No label opens kube-system."""
    guard = Guard(environment="lab", chaos_allowed=True)
    with pytest.raises(RefusedError, match="'kube-system' is protected"):
        guard.admit_namespace(Workload(), "kube-system")


@EVERY
def test_a_lost_lease_stops_the_fault_before_the_act(name: str, tmp_path: Path) -> None:
    """Whoever does not hold the environment alone disturbs nothing."""
    cluster, timeline = Workload(), Timeline()
    with pytest.raises(EnvironmentFailedError, match="lease is lost"):
        run(make(name, cluster), tmp_path, timeline, lost=True)
    assert cluster.calls == []
    assert timeline.kinds == ["fault.selected", "fault.failed"]


@EVERY
def test_the_ledger_has_the_targets_before_the_act(name: str, tmp_path: Path) -> None:
    """A run killed in the middle of the act leaves a record of whom it hit."""
    cluster = Workload()
    found: list[list[dict]] = []
    fault = make(name, cluster)
    inject = fault.inject
    fault.inject = lambda: (found.append(outstanding(tmp_path)), inject())  # type: ignore[method-assign]
    conducted = run(fault, tmp_path, Timeline())
    assert [t["uid"] for t in found[0][0]["targets"]] == [t.uid for t in conducted.targets]


@EVERY
def test_the_seed_decides_the_targets(name: str) -> None:
    """One seed always hits the same pods; over seeds every pod is hit."""
    cluster = Workload(5)

    def chosen(seed: int) -> str:
        return FAULTS[name](place(cluster, seed=seed), selector=Workload.SELECTOR).select()[0].pod

    assert chosen(3) == chosen(3)
    assert {chosen(seed) for seed in range(60)} == {f"auth-{n}" for n in range(1, 6)}


def test_a_deleted_pod_is_proved_by_uids(tmp_path: Path) -> None:
    """The evidence names the deleted UID and a replacement's, which was not there before."""
    cluster, timeline = Workload(), Timeline()
    conducted = run(make("pod_delete", cluster, grace_s=0), tmp_path, timeline)
    evidence = timeline.one("fault.proved")["evidence"]
    assert evidence["deleted"] == [conducted.targets[0].uid]
    assert evidence["replacements"] == {"auth-4": "uid-4"}
    assert "uid-4" in conducted.recovery["uids"]


def test_a_pod_replaced_before_its_deletion_is_not_deleted() -> None:
    """A successor of the same name, as a StatefulSet makes, is no target."""
    cluster = Workload()
    fault = make("pod_delete", cluster)
    target = fault.select()[0]
    cluster.pod(target.pod)["metadata"]["uid"] = "uid-successor"
    with pytest.raises(InconclusiveError, match="went before"):
        fault.inject()
    assert cluster.calls == []


def test_a_deleted_pod_without_replacement_is_not_proved(tmp_path: Path) -> None:
    """Gone alone is no proof: the proof of a delete is the new UID."""
    cluster = Workload()
    cluster.replaces = False
    with pytest.raises(InconclusiveError, match="0 new pods for 1 deleted"):
        run(make("pod_delete", cluster), tmp_path, Timeline(), timeout_s=0.3)


def test_a_killed_container_is_proved_by_its_end(tmp_path: Path) -> None:
    """The evidence is the kubelet's: the restart count's rise, and exit code 137 of that very container."""
    cluster, timeline = Workload(), Timeline()
    target = run(make("container_kill", cluster), tmp_path, timeline).targets[0]
    assert cluster.calls == [("kill", target.node, target.container_id)]
    proof = timeline.one("fault.proved")["evidence"]["containers"][target.pod]
    assert proof["restarts"] == [0, 1]
    assert proof["exit_code"] == 137
    assert (proof["uid"], proof["killed"]) == (target.uid, target.container_id)


def test_a_kill_that_nobody_noticed_yet_is_no_recovery() -> None:
    """Right after the kill the cluster still shows every replica Ready and routed to."""
    cluster = Workload(lag_s=0.3)
    fault = make("container_kill", cluster)
    fault.select()
    started = time.time()
    fault.inject()
    assert fault.recovered(5)["recovered_s"] - started >= 0.9


def test_a_new_container_without_a_counted_restart_is_no_proof(tmp_path: Path) -> None:
    """The restart count is part of the proof."""
    cluster = Workload()
    cluster.counts_restarts = False
    with pytest.raises(InconclusiveError, match="has 0 restarts, 0 before"):
        run(make("container_kill", cluster), tmp_path, Timeline(), timeout_s=0.3)


def test_a_container_that_ended_otherwise_is_no_proof(tmp_path: Path) -> None:
    """A crash of its own at the same moment is not this kill's doing."""
    cluster = Workload()
    cluster.exit_code = 1
    with pytest.raises(InconclusiveError, match="ended with 1"):
        run(make("container_kill", cluster), tmp_path, Timeline(), timeout_s=0.3)


def test_a_kill_without_agents_is_refused_by_name(tmp_path: Path) -> None:
    """A cluster whose nodes cannot be reached refuses this one fault, saying which and why."""
    cluster = Workload()
    bare = Place(
        cluster=cluster,
        namespace="ecochain",
        guard=Guard(environment="foreign", chaos_allowed=True),
        seed=1,
        now=time.time,
    )
    with pytest.raises(RefusedError, match=r"container_kill needs an agent on the nodes.*'foreign'"):
        run(FAULTS["container_kill"](bare, selector=Workload.SELECTOR), tmp_path, Timeline())


def test_a_recovery_that_does_not_hold_is_none(tmp_path: Path) -> None:
    """A replica that serves for a moment and falls over again restarts the wait."""
    cluster, timeline = Workload(lag_s=0.02), Timeline()
    victims: list[str] = []

    def fall() -> None:
        victims.append("auth-4")
        cluster.set_ready("auth-4", False)
        cluster.route()
        cluster.later(0.3, lambda: (cluster.set_ready("auth-4", True), cluster.route()))

    cluster.later(0.1, fall)
    started = time.time()
    conducted = run(make("pod_delete", cluster, grace_s=0), tmp_path, timeline)
    assert victims == ["auth-4"]
    assert conducted.recovery["recovered_s"] - started >= 0.38
