"""What the watchdog is made of, and what it may do."""

from __future__ import annotations

import json

import httpx
import pytest

from chaos import site, watchdog_site
from chaos.agents_site import RUN_LABEL
from chaos.cluster_ledger import NAMESPACE
from chaos.undo import UNDOABLE, Undo
from chaos.watchdog import Health, in_cluster
from core.errors import RefusedError
from tests.chaos.fake_cluster import FakeCluster

IMAGE = "registry/chaos@sha256:0"


def manifests(*namespaces: str):
    return list(watchdog_site.manifests(IMAGE, "RUN-1", namespaces))


def rules(resource: str, namespace: str | None = NAMESPACE):
    """Return {(resource, verb, names)} that a role allows."""
    found = [
        m for kind, m in manifests("shop") if kind == resource and m["metadata"].get("namespace") == namespace
    ]
    return {
        (kind, verb, tuple(rule.get("resourceNames", ())))
        for one in found
        for rule in one["rules"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    }


def test_its_rights_are_those_that_undoing_takes():
    """Nodes it may patch; in the workloads' namespaces undo; at home read one Secret and one Lease."""
    assert rules("clusterroles", None) == {("nodes", "get", ()), ("nodes", "patch", ())}
    assert rules("roles") == {
        ("configmaps", "list", ()),
        ("configmaps", "patch", ()),
        ("leases", "get", ("chaos-heartbeat",)),
        ("secrets", "get", ("chaos-agent",)),
        ("pods", "list", ()),
        ("pods/proxy", "create", ()),
    }
    undoing = {(kind, verb, ()) for verb, kinds in UNDOABLE.items() for kind in kinds if kind != "nodes"}
    assert rules("roles", "shop") == undoing


def test_all_that_it_is_made_of_is_known_as_the_runs():
    """Its label finds what lies outside the namespace of faults, and says whose it is."""
    for _, manifest in manifests("shop", "store"):
        assert manifest["metadata"]["labels"][RUN_LABEL] == "run-1"
        assert manifest["metadata"]["labels"]["app.kubernetes.io/name"] == "chaos-watchdog"
    spec = next(m for kind, m in manifests() if kind == "deployments")["spec"]
    assert spec["replicas"] == 2
    pod = spec["template"]["spec"]
    # Of whatever else there is, nothing: NoSchedule keeps a node for others, as those of the AI.
    assert pod["tolerations"] == [{"operator": "Exists", "effect": "NoExecute"}]
    assert pod["securityContext"]["runAsNonRoot"]
    (container,) = pod["containers"]
    assert container["image"] == IMAGE
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"]


@pytest.mark.parametrize(("verb", "resource"), [("delete", "nodes"), ("patch", "secrets"), ("delete", None)])
def test_what_the_watchdog_could_not_do_is_no_undo(verb, resource):
    """A fault that needed it would stay when its harness dies."""
    with pytest.raises(ValueError, match=f"undo by {verb}: expected one of .*, got {resource!r}"):
        Undo(verb=verb, args={"resource": resource})


def test_a_site_is_refused_where_a_right_to_make_it_is_missing():
    """All that is missing is named, and nothing was recorded or made."""
    cluster = FakeCluster()
    cluster.denied = {"create daemonsets", "patch nodes"}
    recorded = []
    with pytest.raises(RefusedError, match=r"missing patch nodes, create daemonsets.apps in ecochain-chaos;"):
        site.install(
            cluster,
            image=IMAGE,
            run_id="r",
            record=lambda *what, **_: recorded.append(what),
            namespaces=["shop"],
        )
    assert (recorded, cluster.objects) == ([], {})


def test_a_site_of_another_run_is_left_alone():
    """Only the run that made it removes it; one that is not there is no error."""
    cluster = FakeCluster()
    site.remove(cluster, "r")
    cluster.put("namespaces", {"metadata": {"name": NAMESPACE, "labels": {RUN_LABEL: "other"}}})
    site.remove(cluster, "r")
    assert cluster.get("namespaces", NAMESPACE) is not None


def test_a_pod_reaches_its_cluster_by_its_service_account(tmp_path, monkeypatch):
    """Address from the environment, token and certificate from the account's folder."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("a-token")
    (tmp_path / "ca.crt").write_text("")
    cluster = in_cluster(tmp_path, tmp_path)
    assert cluster.server == "https://10.0.0.1:443"
    assert cluster._headers()["authorization"] == "Bearer a-token"
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "kubeconfig").read_text())["current-context"] == "here"


def test_kubelet_is_told_whether_looks_succeed():
    """Not before the first one, and no more when the last one is long ago."""
    now = [100.0]
    with Health(0, lambda: now[0]) as health:

        def status():
            return httpx.get(f"http://127.0.0.1:{health.port}/", trust_env=False).status_code

        assert status() == 503
        health.looked()
        assert status() == 200
        now[0] += 60
        assert status() == 503
