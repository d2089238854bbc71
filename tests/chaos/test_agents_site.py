"""What the agents' site is made of, and where it is not made."""

from __future__ import annotations

import base64
import json

import pytest
from fake_cluster import FakeCluster

from chaos import agents_site
from chaos.cluster_agents import AGENT
from chaos.cluster_ledger import NAMESPACE
from core.errors import RefusedError, WaitTimeoutError

FORBIDDEN = {
    "type": "Warning",
    "reason": "FailedCreate",
    "message": "pods are forbidden: violates PodSecurity",
}


class Strict(FakeCluster):
    """A cluster whose admission lets no agent's pod be made, and says so in an event."""

    def apply(self, resource, manifest):
        status = {"observedGeneration": 1, "desiredNumberScheduled": 2}
        self.put(resource, {**manifest, "status": status})
        self.objects[resource, NAMESPACE, manifest["metadata"]["name"]]["metadata"]["generation"] = 1
        self.put("events", {"metadata": {"name": "no", "namespace": NAMESPACE}, **FORBIDDEN})

    def create(self, resource, manifest):
        if resource == "secrets":
            told = manifest.pop("stringData")["settings.json"]
            manifest = {**manifest, "data": {"settings.json": base64.b64encode(told.encode()).decode()}}
        return super().create(resource, manifest)


def install(cluster, record=lambda *_args, **_kwargs: None):
    return agents_site.install(
        cluster, image="an/image@sha256:1", run_id="Run-1", record=record, heal=lambda _: None, timeout_s=0.2
    )


def test_agents_that_admission_forbids_are_missed_with_its_words():
    """The error says how many nodes lack one, and why; what was to be made had been recorded."""
    cluster, recorded = Strict(), []
    with pytest.raises(WaitTimeoutError, match=r"no node has an agent.*FailedCreate: pods are forbidden"):
        install(cluster, lambda kind, **fields: recorded.append((kind, fields["namespace"])))
    assert recorded == [("chaos.installing", NAMESPACE)]
    assert cluster.get("namespaces", NAMESPACE)["metadata"]["labels"][agents_site.RUN_LABEL] == "run-1"


def test_a_pod_has_what_acts_take_and_no_more():
    """Not privileged, seven capabilities, a read-only root, two folders of the node, no service account."""
    cluster = Strict()
    with pytest.raises(WaitTimeoutError):
        install(cluster)
    spec = cluster.get("daemonsets", AGENT, NAMESPACE)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    security = container["securityContext"]
    assert (security["privileged"], security["readOnlyRootFilesystem"]) == (False, True)
    assert security["capabilities"] == {
        "drop": ["ALL"],
        "add": ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "KILL", "DAC_OVERRIDE", "SYS_CHROOT"],
    }
    folders = {one["hostPath"]["path"] for one in spec["volumes"] if "hostPath" in one}
    assert folders == {"/var/lib/ecochain-chaos", "/sys/fs/cgroup"}
    assert not spec["automountServiceAccountToken"]
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert container["resources"]["limits"]["memory"]
    token = agents_site.attach(cluster)._token
    assert len(token) >= 32
    assert token not in json.dumps(spec)


def test_a_namespace_that_no_run_made_is_left_alone():
    """Somebody else's, of the same name by chance: neither installed into nor removed."""
    cluster = Strict()
    cluster.put("namespaces", {"metadata": {"name": NAMESPACE}})
    for step in (lambda: install(cluster), lambda: agents_site.remove(cluster)):
        with pytest.raises(RefusedError, match="no run made it: it lacks the label"):
            step()
    assert [key for key in cluster.objects if key[0] != "namespaces"] == []
