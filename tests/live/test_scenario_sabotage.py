"""Scenarios of files on a live lab: a fragile system fails them, an ineffective fault leaves them unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from sabotage import Copy, LabInUse

from clients.kubernetes import Cluster
from slas.invariants import ALWAYS

SCENARIO = """
name: fragile
reason: Every replica goes at once, as where all of them are on one node.
promise: replicas
sets: [full]
subject: auth-service
all_replicas: true
faults:
  - fault: pod_delete
    target: {service: auth-service, count: 2}
    parameters: {grace: 0s}
expect:
  recovery: {recovery_time: 60s}
  whole: {downtime: 200ms}
"""


@pytest.fixture
def copy(tmp_path: Path, test_lab: LabInUse) -> Copy:
    """Return a copy of the checkout with one service."""
    return Copy.make(tmp_path / "copy", test_lab.name)


@pytest.mark.long
def test_a_fragile_system_fails_the_scenario_and_the_result_says_how_to_repeat_it(copy: Copy) -> None:
    """Without a replica left there is downtime: FAIL, exit 1; beside it what is always asked holds."""
    ended = copy.play(SCENARIO, "--json")
    assert ended.status == 1, ended.output
    invariants = {
        one["subject"]: one["verdict"] for one in ended.told["verdicts"] if one["sla"] == "invariant"
    }
    assert invariants == dict.fromkeys(ALWAYS, "PASS")
    outcomes = {
        (one["sla"], one["phase"]): one["verdict"]
        for one in ended.told["verdicts"]
        if one["sla"] != "invariant"
    }
    assert outcomes == {("downtime", None): "FAIL", ("recovery_time", "recovery"): "PASS"}
    (fault,) = ended.told["faults"]
    assert len(fault["targets"]) == 2
    assert fault["again"].endswith("--env lab --seed 7")
    assert fault["recovery_s"]["upper"] > 0


@pytest.mark.long
def test_a_fault_without_targets_is_inconclusive_and_touches_nothing(copy: Copy) -> None:
    """More replicas than there are: exit 3, and no pod was deleted."""
    ended = copy.play(SCENARIO.replace("count: 2", "count: 9"), "--json")
    assert ended.status == 3, ended.output
    assert {one["verdict"] for one in ended.told["verdicts"]} == {"INCONCLUSIVE"}
    assert ended.told["faults"][0]["ended"].startswith("not carried out")
    assert ended.run.of_kind("fault.injected") == []


@pytest.mark.long
def test_a_dry_run_names_the_targets_and_leaves_no_environment(copy: Copy, test_lab: LabInUse) -> None:
    """The releases are made for it and removed; nothing was hit."""
    ended = copy.play(SCENARIO, "--dry-run", "--json")
    assert ended.status == 0, ended.output
    (fault,) = ended.told["faults"]
    assert len({target["uid"] for target in fault["targets"]}) == 2
    assert all(target["pod"].startswith("auth-service-") for target in fault["targets"])
    assert fault["undo"] == ["nothing: Kubernetes undoes it"]
    assert ended.run.of_kind("fault.selected", "fault.injected") == []
    assert Cluster(test_lab.kubeconfig).get("namespaces", "ecochain") is None
