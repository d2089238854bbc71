"""A drain: what it evicts, what it leaves, and what a disruption budget makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import InconclusiveError, RefusedError
from tests.chaos.fake_nodes import NodeCluster, make, place, play
from tests.chaos.lasting import Events

NODE = "node-1"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> NodeCluster:
    """Give a cluster with a labelled node, and let a refused eviction be tried again soon."""
    monkeypatch.setattr("chaos.faults.node_drain._RETRY_S", 0.05)
    made = NodeCluster()
    made.objects["nodes", "", NODE]["metadata"]["labels"]["pool"] = "one"
    return made


def drain(cluster: NodeCluster, folder: Path, **more: Any) -> dict[str, Any]:
    """Drain the node and return the evidence of the proof."""
    events = Events()
    where = place(cluster)
    play(make("node_drain", where, nodes="pool=one", **more), where, folder, events=events)
    return events.fields[events.kinds.index("proved")]["evidence"]["nodes"][NODE]


def test_the_pods_are_evicted_and_the_node_is_cordoned(cluster: NodeCluster, tmp_path: Path) -> None:
    """The evidence names each evicted pod with its UID; their successors are elsewhere."""
    evidence = drain(cluster, tmp_path)
    assert evidence["evicted"] == {"ecochain/auth-1": "uid-1", "ecochain/auth-3": "uid-3"}
    assert cluster.on(NODE) == []


def test_what_no_drain_evicts_is_left_and_named(cluster: NodeCluster, tmp_path: Path) -> None:
    """Pods of DaemonSets, of the node itself and of the harness stay, each with why."""
    cluster.add_bystander("logs", node=NODE, owner="DaemonSet")
    cluster.add_bystander("static", node=NODE, owner="Node", annotations={"kubernetes.io/config.mirror": "x"})
    cluster.add_bystander("sampler", node=NODE, owner=None, labels={"ecochain.io/run": "r1"})
    evidence = drain(cluster, tmp_path)
    assert evidence["left"] == {
        "ecochain/logs": "it is of a DaemonSet",
        "ecochain/static": "it is of the node itself",
        "ecochain/sampler": "it is protected",
    }


def test_a_pod_of_nobodys_is_refused_before_anything_is_touched(cluster: NodeCluster) -> None:
    """As kubectl does: nobody would make it again."""
    cluster.add_bystander("handmade", node=NODE, owner=None)
    with pytest.raises(RefusedError, match="nobody would make again: handmade"):
        make("node_drain", place(cluster), nodes="pool=one").select()
    assert cluster.calls == []


def test_an_eviction_that_a_budget_refuses_is_tried_again(cluster: NodeCluster, tmp_path: Path) -> None:
    """It is evicted once the budget allows it, and the refusals are in the evidence under their name."""
    cluster.forbidden["auth-1"] = 2
    evidence = drain(cluster, tmp_path)
    assert evidence["refused_by_budget"]["ecochain/auth-1"]["times"] == 2
    assert "disruption budget" in evidence["refused_by_budget"]["ecochain/auth-1"]["reason"]
    assert "ecochain/auth-1" in evidence["evicted"]


def test_a_budget_that_never_allows_it_makes_the_drain_incomplete(
    cluster: NodeCluster, tmp_path: Path
) -> None:
    """The pod is not forced: the drain is inconclusive, names the refusal, and the node takes pods again."""
    cluster.forbidden["auth-1"] = 10_000
    with pytest.raises(InconclusiveError, match=r"still has .*auth-1.*disruption budget"):
        drain(cluster, tmp_path, deadline_s=0.3)
    assert "auth-1" in cluster.on(NODE)
    assert not cluster.objects["nodes", "", NODE]["spec"].get("unschedulable")
