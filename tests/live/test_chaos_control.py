"""Faults under control on a real cluster: whatever becomes of the harness, they are undone."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from chaos_ground import FRONT, NAMESPACE, RUN, SITE, Ground, ground_on, harness
from chaos_kills import SEED, WHOLE, killed, kills, sound
from sabotage import LabInUse
from verify_command import verify

from chaos import site, watchdog_site
from chaos.audit import FAULT_LABEL
from chaos.cluster_agents import COMPONENT_LABEL
from chaos.cluster_ledger import ClusterLedger
from chaos.healing import find
from chaos.ledger import Ledger
from chaos.stopping import STOP_FILE, STOP_LABEL
from clients.kubernetes import Cluster
from core.errors import RefusedError

# What `make test` has of tests/campaigns/test_chaos_kills.py: two kills, drawn by its seed.
SAMPLE = random.Random(SEED).sample([kill for kill in kills(2) if kill[0] not in WHOLE], 2)


@pytest.fixture(scope="module")
def ground(test_lab: LabInUse) -> Iterator[Ground]:
    """Make the ground, and remove it."""
    with ground_on(test_lab.name) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_left(ground: Ground) -> Iterator[None]:
    """See after each test that an audit finds nothing."""
    yield
    assert ground.left() == []
    ground.wait_whole(time.monotonic())


@pytest.mark.parametrize(("fault", "moment"), SAMPLE)
def test_a_killed_harness_leaves_nothing(
    ground: Ground,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    fault: str,
    moment: str,
) -> None:
    """It is killed by SIGKILL in a phase; within 15 s nothing is left, and then the system is whole."""
    found = killed(ground, tmp_path, fault, moment)
    record_property("phase", found["last"])
    sound(fault, moment, found)


def test_heal_undoes_what_is_open_and_again_changes_nothing(ground: Ground, tmp_path: Path) -> None:
    """Without a watchdog; while the run goes on it refuses, and the second time nothing is open."""
    command = ("heal", "--env", "staging", "--kubeconfig", str(ground.cluster.kubeconfig), "--json")
    ground.watchdogs(0)
    try:
        with harness(ground, tmp_path, pause_at="proved") as one:
            one.wait_event("fault.paused")
            refused = verify(*command)
            assert refused.returncode == 2, refused.stderr
            assert "a run injects faults at present" in refused.stderr
            assert ground.open_acts()
            one.kill()
        # The run's own ledger has it open too.
        assert len(find(None, [one.folder / "ledger.jsonl"])[0]) == 1
        first, second = verify(*command), verify(*command)
    finally:
        ground.watchdogs(2)
    assert first.returncode == 0, first.stderr
    (healed,) = json.loads(first.stdout)["faults"]
    assert (healed["fault"], healed["healed"]) == ("halt", True)
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["faults"] == []


@pytest.mark.parametrize("how", ["label", "file", "interrupt"])
def test_a_stop_halts_and_undoes_at_once(ground: Ground, tmp_path: Path, how: str) -> None:
    """The harness itself undoes it, within seconds, and both ledgers are closed."""
    with harness(ground, tmp_path) as one:
        one.wait_event("fault.proved")
        began_s = time.monotonic()
        if how == "label":
            ground.cluster.patch("namespaces", SITE, None, {"metadata": {"labels": {STOP_LABEL: "now"}}})
        elif how == "file":
            (one.folder / STOP_FILE).touch()
        else:
            one.process.send_signal(signal.SIGINT)
        _, told = one.process.communicate(timeout=20)
        took_s = time.monotonic() - began_s
    ground.cluster.patch("namespaces", SITE, None, {"metadata": {"labels": {STOP_LABEL: None}}})
    assert ("KeyboardInterrupt" if how == "interrupt" else "stopped: ") in told
    assert took_s < 5
    assert one.kinds()[-3:] == ["fault.healing", "fault.healed", "fault.gone"]
    assert ClusterLedger(ground.cluster).outstanding() == []
    assert Ledger(one.folder / "ledger.jsonl", time.time).outstanding() == []


def test_the_audit_finds_what_is_planted_and_no_more(ground: Ground) -> None:
    """One of each kind that a fault can leave in a cluster, the way the API server keeps it."""
    cluster, node = ground.cluster, ground.agents.nodes()[0]
    made = {"name": "planted", "namespace": NAMESPACE, "labels": {FAULT_LABEL: "x"}}
    held = {"name": "held", "namespace": NAMESPACE, "finalizers": ["ecochain.io/held"]}
    named = {"name": "ecochain-chaos-planted", "namespace": "default"}
    taint = {"key": "ecochain.io/cut", "effect": "PreferNoSchedule"}
    mark = {FAULT_LABEL: "x"}
    try:
        cluster.create("networkpolicies", {"metadata": made, "spec": {"podSelector": {"matchLabels": mark}}})
        cluster.create("configmaps", {"metadata": made})
        cluster.create("configmaps", {"metadata": held})
        cluster.create("configmaps", {"metadata": named})
        cluster.patch("deployments", FRONT, NAMESPACE, {"metadata": {"annotations": mark}})
        cluster.patch("nodes", node, None, {"spec": {"unschedulable": True, "taints": [taint]}})
        found = ground.left()
    finally:
        for resource, meta in (("networkpolicies", made), ("configmaps", made), ("configmaps", named)):
            cluster.delete(resource, meta["name"], meta["namespace"])
        cluster.patch("configmaps", "held", NAMESPACE, {"metadata": {"finalizers": None}})
        cluster.delete("configmaps", "held", NAMESPACE)
        cluster.patch("deployments", FRONT, NAMESPACE, {"metadata": {"annotations": {FAULT_LABEL: None}}})
        cluster.patch("nodes", node, None, {"spec": {"unschedulable": None, "taints": None}})
    assert sorted(found) == sorted(
        [
            f"cordon at {node}: takes no new pods",
            f"taint at {node}: ecochain.io/cut",
            f"networkpolicies at {NAMESPACE}/planted: made by fault x",
            f"configmaps at {NAMESPACE}/planted: made by fault x",
            f"finalizer at {NAMESPACE}/held: configmaps with ecochain.io/held",
            "configmaps at default/ecochain-chaos-planted: has the name of what faults make",
            f"deployments at {NAMESPACE}/{FRONT}: changed by fault x",
        ]
    )


def test_a_missing_permission_is_named_before_anything_is_touched(ground: Ground, tmp_path: Path) -> None:
    """Somebody who may do all that it takes but one thing is refused, and told which."""
    name = "chaos-control-weak"
    meta = {"name": name}
    rules = [
        {"apiGroups": [group], "resources": ["*"], "verbs": ["*"]}
        for group in ("", "coordination.k8s.io", "discovery.k8s.io")
    ]
    rules[0]["resources"] = ["pods", "pods/proxy", "configmaps", "secrets", "namespaces"]
    rules.append({"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]})
    cluster = ground.cluster
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    try:
        cluster.create("serviceaccounts", {"metadata": {**meta, "namespace": "default"}})
        cluster.create("clusterroles", {"metadata": meta, "rules": rules})
        cluster.create("clusterrolebindings", {"metadata": meta, "roleRef": reference, "subjects": [subject]})
        weak = as_account(cluster, name, tmp_path)
        with pytest.raises(RefusedError, match=r"missing patch nodes, .*clusterroles"):
            site.install(
                weak, image="x", run_id=RUN, record=lambda *_, **__: pytest.fail("recorded"), namespaces=[]
            )
        with harness(ground, tmp_path, kubeconfig=weak.kubeconfig) as one:
            _, told = one.process.communicate(timeout=60)
    finally:
        cluster.delete("clusterrolebindings", name)
        cluster.delete("clusterroles", name)
        cluster.delete("serviceaccounts", name, "default")
    assert "RefusedError: permissions: expected all that the fault needs, missing patch nodes" in told
    assert not (one.folder / "ledger.jsonl").exists()
    assert "fault.selected" not in one.kinds()


def as_account(cluster: Cluster, name: str, folder: Path) -> Cluster:
    """Return the cluster as a service account sees it."""
    path = f"{cluster.path('serviceaccounts', 'default', name)}/token"
    issued = cluster.request("POST", path, body={"spec": {"expirationSeconds": 600}})
    told: dict[str, Any] = yaml.safe_load(cluster.kubeconfig.read_text())
    told["users"] = [{"name": told["users"][0]["name"], "user": {"token": issued["status"]["token"]}}]
    weak = folder / "weak.kubeconfig"
    weak.write_text(json.dumps(told))
    return Cluster(weak)


@pytest.mark.parametrize(
    ("verb", "resource", "namespace"),
    [
        ("create", "pods", NAMESPACE),
        ("get", "secrets", NAMESPACE),
        ("list", "secrets", SITE),
        ("delete", "nodes", ""),
        ("create", "pods/exec", NAMESPACE),
        ("delete", "pods", "default"),
        ("delete", "deployments", NAMESPACE),
        ("delete", "pods", "kube-system"),
        ("update", "leases", SITE),
    ],
)
def test_the_watchdog_may_do_no_more_than_it_needs(
    ground: Ground, verb: str, resource: str, namespace: str
) -> None:
    """What undoing does not take is not allowed."""
    assert not allowed(ground.cluster, verb, resource, namespace)


def test_two_watchdogs_watch_from_two_nodes(ground: Ground) -> None:
    """A node that is lost takes one of them at most; what they need they may."""
    pods = ground.cluster.list("pods", SITE, labels=f"{COMPONENT_LABEL}={watchdog_site.WATCHDOG}")
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2
    assert allowed(ground.cluster, "patch", "nodes", "")
    assert allowed(ground.cluster, "delete", "pods", NAMESPACE)


def allowed(cluster: Cluster, verb: str, resource: str, namespace: str) -> bool:
    """Ask the API server what the watchdog's account may do."""
    kind, _, part = resource.partition("/")
    group = {"deployments": "apps", "leases": "coordination.k8s.io"}.get(kind, "")
    attributes = {"verb": verb, "resource": kind, "subresource": part, "namespace": namespace, "group": group}
    user = f"system:serviceaccount:{SITE}:{watchdog_site.WATCHDOG}"
    answer = cluster.request(
        "POST",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        body={"spec": {"user": user, "resourceAttributes": attributes}},
    )
    return bool(answer["status"]["allowed"])
