"""`verify heal`: what is open in the cluster's ledger and in runs' ledgers is undone, once."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from chaos.cluster_ledger import NAMESPACE, ClusterLedger, OpenFault
from chaos.heartbeat import HEARTBEAT
from chaos.ledger import Entry, Ledger
from chaos.undo import Undo
from cli import healing
from cli.main import main
from reports.runs import RunStore
from tests.chaos.lasting import NODE, cluster_with_node, cordoned

UNDO = Undo(verb="uncordon", args={"node": NODE})


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Give a cluster with a cordoned node, which the command finds, and a folder of runs of its own."""
    made = cluster_with_node()
    made.put("namespaces", {"metadata": {"name": "kube-system", "uid": "this-cluster"}})
    made.patch("nodes", NODE, None, {"spec": {"unschedulable": True}})
    stage = SimpleNamespace(kubeconfig=tmp_path, cluster=lambda: made)
    monkeypatch.setattr("fixtures.acceptance.stage.deployed", lambda *_: stage)
    monkeypatch.setattr(healing, "RunStore", lambda: RunStore(tmp_path / "runs"))
    monkeypatch.setattr(healing, "HEARTBEAT_S", -1.0)
    return made


def left_open(folder, *, cluster="this-cluster", ended=True, undo=UNDO):
    """Leave a run with an open fault in its ledger."""
    run = RunStore(folder / "runs").create("lab", [], 7)
    if ended:
        run.finish(1)
    details = {"fault": "cordon", "fault_id": "cordon-1", "cluster": cluster, "undo": [undo.as_json()]}
    Ledger(run.ledger, lambda: 1.0).open(Entry(kind="fault", details=details))
    return run


def healed(capsys, *options):
    """Run the command and return its exit status and what it says of faults here and elsewhere."""
    status = main(["heal", "--json", *options])
    told = json.loads(capsys.readouterr().out)
    return status, told["faults"], told["elsewhere"]


def test_what_a_dead_run_left_open_is_undone_once(cluster, tmp_path, capsys):
    """In both ledgers it is one fault; the second time nothing is open, and both times all is well."""
    run = left_open(tmp_path)
    ClusterLedger(cluster).open(
        OpenFault(fault="cordon", fault_id="cordon-1", run=run.id, targets=[], undo=[UNDO])
    )
    status, (fault,), _ = healed(capsys)
    assert (status, fault["fault_id"], fault["healed"], fault["run"]) == (0, "cordon-1", True, run.id)
    assert not cordoned(cluster)
    assert healed(capsys) == (0, [], [])
    assert ClusterLedger(cluster).outstanding() == []
    assert Ledger(run.ledger, lambda: 0.0).outstanding() == []


def test_a_dry_run_says_what_would_be_undone(cluster, tmp_path, capsys):
    """And touches nothing."""
    left_open(tmp_path)
    assert main(["heal", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "would be undone" in told
    assert json.dumps(UNDO.as_json()) in told
    assert cordoned(cluster)


def test_what_cannot_be_undone_stays_open_and_is_said(cluster, tmp_path, capsys):
    """The exit status says so too, and the next time it is tried again."""
    cluster.put("namespaces", {"metadata": {"name": NAMESPACE}})
    left_open(tmp_path, undo=Undo(verb="agent", args={"node": NODE, "act_id": "a"}))
    for _ in range(2):
        assert main(["heal"]) == 4
        assert "there are no agents on the nodes" in capsys.readouterr().err


def test_what_another_cluster_has_open_is_left_alone(cluster, tmp_path, capsys):
    """A lab of the same name that is another one has other nodes, whatever they are called."""
    left_open(tmp_path, cluster="another")
    status, here, (elsewhere,) = healed(capsys)
    assert (status, here, elsewhere["healed"]) == (0, [], False)
    assert cordoned(cluster)


def test_a_run_that_goes_on_keeps_its_faults(cluster, tmp_path, capsys):
    """Its ledger is not looked at, and while its heartbeat goes its faults are undone only by force."""
    left_open(tmp_path, ended=False)
    assert healed(capsys) == (0, [], [])
    ClusterLedger(cluster).open(
        OpenFault(fault="cordon", fault_id="cordon-1", run="r", targets=[], undo=[UNDO])
    )
    spec = {"holderIdentity": f"run/{os.getpid()}", "leaseDurationSeconds": 6}
    cluster.put("leases", {"metadata": {"name": HEARTBEAT, "namespace": NAMESPACE}, "spec": spec})
    assert main(["heal"]) == 2
    assert "ecochain.io/stop=now" in capsys.readouterr().err
    assert cordoned(cluster)
    status, (fault,), _ = healed(capsys, "--force")
    assert (status, fault["healed"]) == (0, True)
    assert not cordoned(cluster)


def test_without_a_cluster_it_says_so(monkeypatch, capsys):
    """A lab that is not there took its faults with it."""
    stage = SimpleNamespace(kubeconfig=None)
    monkeypatch.setattr("fixtures.acceptance.stage.deployed", lambda *_: stage)
    assert main(["heal"]) == 4
    assert "no cluster of environment 'lab'" in capsys.readouterr().err
