"""Faults on nodes and on the control plane: each proves its effect and its end, or says that it cannot."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from chaos.cluster_ledger import ClusterLedger
from chaos.faults import kubelet_stop, node_drain, node_power_loss, scheduler_outage
from chaos.ledger import Ledger
from core.errors import InconclusiveError, RefusedError
from tests.chaos.fake_nodes import HARNESS, MASTER, FakeAgents, FakePowers, NodeCluster, make, place, play
from tests.chaos.lasting import Events

ON_NODES = ["kubelet_stop", "node_cut", "node_drain", "node_power_loss", "runtime_stop"]
ON_CONTROL_PLANE = ["api_server_outage", "etcd_pause", "scheduler_outage"]
LASTING = [*ON_NODES, *ON_CONTROL_PLANE, "container_freeze"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a heartbeat be due, a pod be late and a machine have started within moments."""
    monkeypatch.setattr(kubelet_stop, "RENEWAL_S", 0.05)
    monkeypatch.setattr(scheduler_outage, "UNSCHEDULED_S", 0.1)
    monkeypatch.setattr(node_power_loss, "BOOT_S", 0.0)
    monkeypatch.setattr(node_drain, "_RETRY_S", 0.05)


@pytest.fixture
def cluster() -> NodeCluster:
    return NodeCluster()


def settings(name: str) -> dict:
    """Return what a fault needs beside its place."""
    return {"selector": "app=auth"} if name == "container_freeze" else {}


def outstanding(cluster: NodeCluster, folder: Path) -> list:
    return [*ClusterLedger(cluster).outstanding(), *Ledger(folder / "ledger.jsonl", time.time).outstanding()]


@pytest.mark.parametrize("name", LASTING)
def test_it_is_proved_undone_and_seen_to_end(name: str, cluster: NodeCluster, tmp_path: Path) -> None:
    """Every phase comes in its order, the ledgers are settled, and the system is whole."""
    events = Events()
    where = place(cluster)
    done = play(make(name, where, **settings(name)), where, tmp_path, events=events)
    assert events.kinds == ["selected", "injected", "proved", "healing", "healed", "gone", "recovered"]
    assert done.targets
    assert outstanding(cluster, tmp_path) == []
    assert not any(cluster.ill.values())
    assert (cluster.paused, cluster.frozen) == (set(), set())
    assert not any(node["spec"].get("unschedulable") for node in cluster.list("nodes"))
    assert not [p for p in cluster.pods() if p["metadata"]["name"].startswith("scheduler-probe")]


@pytest.mark.parametrize("name", LASTING)
def test_one_without_effect_is_inconclusive(name: str, cluster: NodeCluster, tmp_path: Path) -> None:
    """An act or a power that changed nothing is not proved, whatever it returned."""
    cluster.obeys = False
    where = place(cluster)
    more = {"deadline_s": 0.1} if name == "node_drain" else {}
    with pytest.raises(InconclusiveError, match="not seen landing"):
        play(make(name, where, **settings(name), **more), where, tmp_path, timeout_s=0.3)
    assert outstanding(cluster, tmp_path) == []


@pytest.mark.parametrize("name", LASTING)
def test_one_that_does_not_end_is_inconclusive_and_stays_in_the_ledgers(
    name: str, cluster: NodeCluster, tmp_path: Path
) -> None:
    """An undoing that did nothing is seen, and the entry is left for whoever heals later."""
    cluster.heals = False
    where = place(cluster)
    with pytest.raises(InconclusiveError, match="not seen ending"):
        play(make(name, where, **settings(name)), where, tmp_path, timeout_s=0.4)
    cluster.paused.clear()
    assert outstanding(cluster, tmp_path)


@pytest.mark.parametrize("name", LASTING)
def test_its_undoing_is_the_same_each_time(name: str, cluster: NodeCluster) -> None:
    """What is written into the ledgers is what would be written again; another fault's is its own."""
    where = place(cluster)
    one, other = (make(name, where, **settings(name)) for _ in range(2))
    for fault in (one, other):
        fault.select()
    assert one.undo() == one.undo()
    if one.undo()[0].verb == "agent":
        assert one.undo() != other.undo()


@pytest.mark.parametrize("name", ["api_server_outage", "etcd_pause", "node_power_loss", "scheduler_outage"])
def test_without_the_power_it_is_refused_by_name(name: str, cluster: NodeCluster) -> None:
    """A managed control plane, or a provider without power over machines, is named; nothing is touched."""
    with pytest.raises(RefusedError, match=rf"fault {name} needs the power .* it offers none"):
        make(name, place(cluster, means=False)).select()


@pytest.mark.parametrize("name", ["container_freeze", "kubelet_stop", "node_cut", "runtime_stop"])
def test_without_agents_it_is_refused_by_name(name: str, cluster: NodeCluster) -> None:
    """Where no agent is installed nothing is touched."""
    fault = make(name, place(cluster, means=False), **settings(name))
    with pytest.raises(RefusedError, match=f"fault {name} needs an agent"):
        fault.select()


@pytest.mark.parametrize("name", ON_NODES)
def test_zero_nodes_are_inconclusive(name: str, cluster: NodeCluster) -> None:
    """A selector that finds no node touches none."""
    with pytest.raises(InconclusiveError, match="nothing was touched"):
        make(name, place(cluster), nodes="pool=none").select()


@pytest.mark.parametrize("name", ON_NODES)
def test_the_control_plane_is_never_hit(name: str, cluster: NodeCluster) -> None:
    """Not by any seed, and refused where it is all that was asked for."""
    for seed in range(20):
        assert make(name, place(cluster, seed=seed)).select()[0].node != MASTER
    with pytest.raises(RefusedError, match="control plane"):
        make(name, place(cluster), nodes="node-role.kubernetes.io/control-plane=").select()


@pytest.mark.parametrize("name", ON_NODES)
def test_never_all_nodes_unless_that_is_allowed(name: str, cluster: NodeCluster) -> None:
    """Three of three are refused; who allows it gets them."""
    cluster.add_bystander("job", node="node-2", owner="Job")
    with pytest.raises(RefusedError):
        make(name, place(cluster), count=3).select()
    assert len(make(name, place(cluster, all_replicas_allowed=True), count=3).select()) == 3


def test_a_node_that_a_whole_workload_is_on_is_spared_or_refused(cluster: NodeCluster) -> None:
    """The only replica of a store keeps its node from being hit, unless the guard allows that."""
    cluster.add_bystander("mongo-0", node="node-1", owner="StatefulSet")
    assert {make("node_cut", place(cluster, seed=s)).select()[0].node for s in range(30)} == {
        "node-0",
        "node-2",
    }
    cluster.objects["nodes", "", "node-1"]["metadata"]["labels"]["pool"] = "one"
    with pytest.raises(RefusedError, match="node-1: StatefulSet/mongo-0"):
        make("node_cut", place(cluster), nodes="pool=one").select()


def test_where_a_workload_may_be_lost_a_node_that_can_be_spared_comes_first(cluster: NodeCluster) -> None:
    """To allow it is no wish: the store's node is hit only where no other is left."""
    cluster.add_bystander("mongo-0", node="node-1", owner="StatefulSet")
    allowed = [place(cluster, seed=seed, all_replicas_allowed=True) for seed in range(30)]
    assert {make("node_cut", one).select()[0].node for one in allowed} == {"node-0", "node-2"}
    assert [target.node for target in make("node_cut", allowed[0], count=3).select()][-1] == "node-1"


def test_nodes_with_pods_of_the_harness_come_last(cluster: NodeCluster) -> None:
    """A node that the harness' own pods are on is hit only where no other is left."""
    labels = {"ecochain.io/run": "r1"}
    cluster.add_bystander(HARNESS, node="node-0", owner=None, labels=labels)
    assert {make("node_cut", place(cluster, seed=s)).select()[0].node for s in range(30)} == {
        "node-1",
        "node-2",
    }


def test_the_nodes_of_a_workload_are_chosen_by_its_pods(cluster: NodeCluster) -> None:
    """With a selector only nodes that hold its pods are hit, and the seed decides which."""

    def chosen(seed: int) -> str:
        return make("kubelet_stop", place(cluster, seed=seed), selector="app=auth").select()[0].node

    assert chosen(3) == chosen(3)
    assert {chosen(seed) for seed in range(30)} == {"node-0", "node-1"}


def test_an_unsteady_node_is_not_hit(cluster: NodeCluster) -> None:
    """From a node that was not Ready before no recovery could be told."""
    for name in ("node-0", "node-1", "node-2"):
        cluster.objects["nodes", "", name]["status"]["conditions"][0]["status"] = "False"
    with pytest.raises(InconclusiveError, match=r"0 nodes are Ready.*not steady: node-0"):
        make("kubelet_stop", place(cluster)).select()


def test_a_node_that_did_not_answer_before_is_not_touched(cluster: NodeCluster, tmp_path: Path) -> None:
    """A kubelet that was silent already would prove any fault."""
    for ills in cluster.ill.values():
        ills.add("kubelet")
    where = place(cluster)
    with pytest.raises(InconclusiveError, match="before it was touched"):
        play(make("kubelet_stop", where), where, tmp_path)
    assert where.agents.told == []


def test_a_stopped_runtime_is_told_from_a_stopped_kubelet(cluster: NodeCluster) -> None:
    """A kubelet that is silent too is no proof that the runtime was stopped."""
    where = place(cluster)
    fault = make("runtime_stop", where)
    target = fault.select()[0]
    fault.inject()
    cluster.ill[target.node].add("kubelet")
    with pytest.raises(InconclusiveError, match="not the runtime alone"):
        fault.prove(0.1)


def test_a_cut_is_seen_from_another_node_too(cluster: NodeCluster, tmp_path: Path) -> None:
    """The evidence names the witness, which is another node, and what it got."""
    events = Events()
    where = place(cluster)
    play(make("node_cut", where), where, tmp_path, events=events)
    (shown,) = events.fields[events.kinds.index("proved")]["evidence"]["nodes"].values()
    assert shown["witness"] != events.fields[0]["targets"][0]["node"]
    assert "timeout" in shown["from_witness"]


def test_a_power_loss_ends_when_its_containers_have_started_again(cluster: NodeCluster) -> None:
    """A machine that is back with the containers of before has not lost its power."""
    where = place(cluster, seed=1)
    cluster.restarted = lambda _node: None  # type: ignore[method-assign]
    fault = make("node_power_loss", where, selector="app=auth")
    fault.select()
    fault.inject()
    where.powers.end("power_loss", node=fault.select()[0].node)
    with pytest.raises(Exception, match="was not started again"):
        fault.recovered(0.3)


def test_a_node_that_was_replaced_has_ended_its_power_loss(cluster: NodeCluster) -> None:
    """In a cloud another machine may have come in its place; as many Ready nodes as before are needed."""
    where = place(cluster)
    fault = make("node_power_loss", where)
    target = fault.select()[0]
    fault.inject()
    fault.prove(1)
    del cluster.objects["nodes", "", target.node]
    with pytest.raises(InconclusiveError, match="gone"):
        fault.prove_gone(0.1)  # type: ignore[attr-defined]
    cluster.add_node("node-9")
    assert fault.prove_gone(1)["nodes"][target.node]["replaced"]  # type: ignore[attr-defined]


def test_acts_and_powers_end_by_themselves_some_time_after_the_fault(cluster: NodeCluster) -> None:
    """What a dead harness leaves lasts as long as the fault was to, and a bit."""
    where = place(cluster)
    for name in ("node_cut", "node_power_loss"):
        fault = make(name, where, duration_s=40)
        fault.select()
        fault.inject()
        for ills in cluster.ill.values():
            ills.clear()
    assert isinstance(where.agents, FakeAgents)
    assert isinstance(where.powers, FakePowers)
    assert 40 < where.agents.told[0].longest_s < 200
    assert 40 < where.powers.begun[0][1] < 200


def test_clock_skew_is_refused_with_its_reason(cluster: NodeCluster) -> None:
    """There is no safe way, and the reason says which were thought of."""
    with pytest.raises(RefusedError, match=r"clock_skew is refused.*time namespace"):
        make("clock_skew", place(cluster), selector="app=auth").select()
