"""The guard: where faults may act, when production is armed, and how far they may go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chaos.cluster_ledger import NAMESPACE
from chaos.guard import ARMED_UNTIL, CHAOS_LABEL, CONTROL_PLANE, Guard
from core.errors import RefusedError
from tests.chaos.fake_cluster import FakeCluster
from tests.chaos.lasting import cluster_with_node

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def production(text):
    cluster = cluster_with_node()
    notes = {} if text is None else {ARMED_UNTIL: text}
    meta = {"name": "shop", "labels": {CHAOS_LABEL: "allowed"}, "annotations": notes}
    cluster.put("namespaces", {"metadata": meta})
    guard = Guard(environment="production", chaos_allowed=True, now=lambda: NOW)
    guard.admit_namespace(cluster, "shop")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "yes",
        (NOW - timedelta(minutes=1)).isoformat(),
        (NOW + timedelta(hours=5)).isoformat(),
        "2026-11-25T13:00:00",
    ],
    ids=["not armed", "no moment", "over", "too long", "without an offset"],
)
def test_production_is_refused_unless_armed_for_a_limited_time(text):
    """The setting and the label are not enough there."""
    with pytest.raises(RefusedError, match="production is not armed: annotation"):
        production(text)


def test_production_that_is_armed_is_admitted():
    """A moment to come, and not far off."""
    production((NOW + timedelta(hours=1)).isoformat())


def test_any_environment_may_ask_to_be_armed():
    """A setting, for those that have users and another name."""
    cluster = cluster_with_node()
    cluster.put("namespaces", {"metadata": {"name": "shop", "labels": {CHAOS_LABEL: "allowed"}}})
    guard = Guard(environment="shop-eu", chaos_allowed=True, needs_arming=True, now=lambda: NOW)
    with pytest.raises(RefusedError, match="shop-eu is not armed"):
        guard.admit_namespace(cluster, "shop")


@pytest.mark.parametrize("name", ["kube-system", NAMESPACE])
def test_the_namespaces_of_the_cluster_and_of_the_harness_are_never_targets(name):
    """The label changes nothing there."""
    cluster = cluster_with_node()
    cluster.put("namespaces", {"metadata": {"name": name, "labels": {CHAOS_LABEL: "allowed"}}})
    with pytest.raises(RefusedError, match="is protected"):
        Guard(environment="lab", chaos_allowed=True).admit_namespace(cluster, name)


def test_more_targets_than_the_limit_are_refused():
    """The blast radius is a number that the settings know."""
    guard = Guard(environment="lab", chaos_allowed=True, most_targets=1)
    with pytest.raises(RefusedError, match=r"at most 1 targets \(chaos.most_targets\), got 2"):
        guard.admit_selection("app=shop", selected=2, ready=5)


def test_a_larger_share_than_the_limit_is_refused():
    """Also as a share of the replicas."""
    guard = Guard(environment="lab", chaos_allowed=True, most_share=0.5)
    guard.admit_selection("app=shop", selected=2, ready=4)
    with pytest.raises(RefusedError, match=r"share of 0.5 \(chaos.most_share\), got 3 of 4"):
        guard.admit_selection("app=shop", selected=3, ready=4)


def nodes(*names):
    cluster = FakeCluster()
    for name in names:
        labels = {CONTROL_PLANE: ""} if name == "control" else {}
        cluster.put("nodes", {"metadata": {"name": name, "labels": labels}, "spec": {}})
    return cluster


@pytest.mark.parametrize(
    ("hit", "why"),
    [(["control"], "holds the control plane"), (["a", "b"], "would leave none")],
)
def test_the_control_plane_and_all_nodes_at_once_are_refused(hit, why):
    """A node among others may be hit."""
    guard = Guard(environment="lab", chaos_allowed=True)
    cluster = nodes("control", "a", "b")
    guard.admit_nodes(cluster, ["a"])
    with pytest.raises(RefusedError, match=why):
        guard.admit_nodes(cluster, hit)


def test_all_nodes_may_be_hit_if_the_scenario_says_so():
    """But no more of them than the limit."""
    cluster = nodes("a", "b")
    Guard(environment="lab", chaos_allowed=True, all_replicas_allowed=True).admit_nodes(cluster, ["a", "b"])
    limited = Guard(environment="lab", chaos_allowed=True, all_replicas_allowed=True, most_share=0.5)
    with pytest.raises(RefusedError, match="got 2 of 2 nodes"):
        limited.admit_nodes(cluster, ["a", "b"])
