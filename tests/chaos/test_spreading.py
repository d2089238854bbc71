"""Replicas that share a node are spread before the next scenario, and nothing else is moved."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.spreading import spread
from tests.chaos.fake_nodes import NodeCluster


@pytest.fixture
def cluster() -> NodeCluster:
    """Return a cluster whose three replicas have fled to node-0."""
    found = NodeCluster()
    for pod in found.pods():
        pod["spec"]["nodeName"] = "node-0"
    return found


def spread_in(cluster: NodeCluster) -> tuple[list[str], list[dict[str, Any]], list[str]]:
    events: list[dict[str, Any]] = []
    said: list[str] = []
    names = spread(
        cluster,
        cluster.NAMESPACE,
        emit=lambda kind, **fields: events.append({"kind": kind, **fields}),
        say=said.append,
        timeout_s=5.0,
    )
    return names, events, said


def names_of(cluster: NodeCluster) -> set[str]:
    """Return the replicas that stay."""
    return {pod["metadata"]["name"] for pod in cluster.pods() if not pod["metadata"].get("deletionTimestamp")}


def test_one_replica_of_those_that_share_a_node_is_evicted(cluster: NodeCluster) -> None:
    """It is the first by name, it is written down, and a successor is waited for."""
    before = names_of(cluster)
    names, events, _ = spread_in(cluster)
    assert names == [min(before)]
    assert events == [{"kind": "replicas.spread", "pods": names}]
    after = names_of(cluster)
    assert len(after) == len(before)
    assert before - after == set(names)


def test_where_they_are_spread_nothing_is_moved() -> None:
    """Two nodes hold them: nothing to gain."""
    cluster = NodeCluster()
    before = names_of(cluster)
    assert spread_in(cluster) == ([], [], [])
    assert names_of(cluster) == before


@pytest.mark.parametrize("why", ["cordoned", "tainted", "not Ready"])
def test_without_another_node_that_takes_pods_nothing_is_moved(cluster: NodeCluster, why: str) -> None:
    """To evict would only cost: the successor comes to the same node."""
    for name in ("node-1", "node-2"):
        node = cluster.objects["nodes", "", name]
        if why == "cordoned":
            node["spec"]["unschedulable"] = True
        elif why == "tainted":
            node["spec"]["taints"] = [{"key": "workload", "value": "ai", "effect": "NoSchedule"}]
        else:
            node["status"]["conditions"][0]["status"] = "Unknown"
    before = names_of(cluster)
    assert spread_in(cluster) == ([], [], [])
    assert names_of(cluster) == before


def test_a_budget_is_respected(cluster: NodeCluster) -> None:
    """What it forbids is said and left."""
    cluster.forbidden = dict.fromkeys(names_of(cluster), 1)
    before = names_of(cluster)
    names, events, said = spread_in(cluster)
    assert (names, events) == ([], [])
    assert "stay on one node" in said[0]
    assert names_of(cluster) == before


def test_pods_of_the_harness_are_not_moved() -> None:
    """They watch."""
    cluster = NodeCluster(replicas=1)
    labels = {"ecochain.io/run": "r1"}
    for number in range(2):
        cluster.add_bystander(f"probe-{number}", node="node-0", owner=None, labels=labels)
        made = cluster.pod(f"probe-{number}")
        made["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "probe", "controller": True}]
    assert spread_in(cluster) == ([], [], [])
