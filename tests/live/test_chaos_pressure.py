"""The faults of pressure on a real cluster: each is seen landing and ending, and nothing is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sabotage import LabInUse

from chaos import agents_site
from chaos.cluster_agents import ClusterAgents
from chaos.container_act import ContainerAct
from chaos.fault import Evidence, Place
from chaos.faults.cpu_pressure import CpuPressure
from chaos.faults.disk_full import DiskFull
from chaos.faults.memory_pressure import MemoryPressure
from chaos.faults.volume_read_only import VolumeReadOnly
from chaos.guard import CHAOS_LABEL, Guard
from chaos.healer import Healer
from clients.kubernetes import Cluster, Json, pod_ready
from core.errors import RefusedError
from core.waiting import wait_until
from lab.cluster import find
from lab.images import build_chaos_image

RUN = "20260101T000000-pressure"
NAMESPACE, SELECTOR = "chaos-pressure", "app=pressed"
TIMEOUT_S = 40.0


@dataclass(frozen=True, kw_only=True)
class Site:
    """The installed agents, and two replicas with limits, a volume in memory and one on the node's disk."""

    place: Place
    agents: ClusterAgents

    def carry_out(self, fault: ContainerAct) -> tuple[Evidence, Evidence]:
        """Take a fault from its choice to the workload's recovery; returns both proofs."""
        (target,) = fault.select()
        steps = fault.undo()
        healer = Healer(self.place.cluster, self.agents)
        try:
            fault.inject()
            proof = fault.prove(TIMEOUT_S)
        finally:
            healer.heal(steps)
        gone = fault.prove_gone(TIMEOUT_S)
        fault.recovered(TIMEOUT_S)
        assert self.agents.remainders() == []
        return pod_of(proof, target.pod), pod_of(gone, target.pod)


def pod_of(proof: Evidence, pod: str) -> Any:
    pods = proof["pods"]
    assert isinstance(pods, dict)
    return pods[pod]


def workload(image: str) -> Json:
    labels = {"app": "pressed"}
    return {
        "metadata": {"name": "pressed", "namespace": NAMESPACE},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "it",
                            "image": image,
                            "args": ["http.server", "8080", "-d", "/tmp"],
                            "readinessProbe": {
                                "httpGet": {"path": "/", "port": 8080},
                                "periodSeconds": 1,
                                "timeoutSeconds": 5,
                                "failureThreshold": 5,
                            },
                            "resources": {
                                "requests": {"cpu": "20m", "memory": "48Mi"},
                                "limits": {"cpu": "300m", "memory": "128Mi"},
                            },
                            "volumeMounts": [
                                {"name": "memory", "mountPath": "/tmp"},
                                {"name": "disk", "mountPath": "/data"},
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
                        {"name": "disk", "emptyDir": {}},
                    ],
                },
            },
        },
    }


@pytest.fixture(scope="module")
def site(test_lab: LabInUse) -> Iterator[Site]:
    """Install the agents and the replicas; remove both."""
    lab = find(test_lab.name)
    assert lab is not None
    cluster, image = lab.cluster(), build_chaos_image()
    lab.push([image])
    try:
        cluster.create("namespaces", {"metadata": {"name": NAMESPACE, "labels": {CHAOS_LABEL: "allowed"}}})
        cluster.create("deployments", workload(image.pinned))
        agents = agents_site.install(
            cluster, image=image.pinned, run_id=RUN, record=lambda *_, **__: None, heal=lambda _: None
        )
        place = Place(
            cluster=cluster,
            namespace=NAMESPACE,
            guard=Guard(environment="lab", chaos_allowed=True),
            seed=7,
            now=time.time,
            agents=agents,
        )
        wait_until("both replicas to be ready", lambda: ready(cluster) == 2, 60, interval_s=0.2)
        yield Site(place=place, agents=agents)
        agents.close()
    finally:
        cluster.delete("namespaces", NAMESPACE)
        agents_site.remove(cluster)


def ready(cluster: Cluster) -> int:
    return sum(pod_ready(pod) for pod in cluster.list("pods", NAMESPACE, labels=SELECTOR))


def test_a_containers_processor_is_taken_and_given_back(site: Site) -> None:
    """It is throttled at its own limit, by its cgroup's counts; a container was hit, not the node."""
    proof, gone = site.carry_out(CpuPressure(site.place, selector=SELECTOR, processes=3))
    assert proof["before"]["cores"] < 0.15
    assert 0.24 <= proof["during"]["cores"] < 0.4
    assert proof["during"]["throttled_ratio"] >= 0.5
    assert gone["after"]["cores"] < 0.15


def test_a_containers_memory_is_taken_and_given_back(site: Site) -> None:
    """Its working set is at the share that was asked for; it is not killed."""
    fault = MemoryPressure(site.place, selector=SELECTOR, limit_ratio=0.8)
    proof, gone = site.carry_out(fault)
    assert proof["before_ratio"] < 0.5
    assert 0.75 <= proof["during_ratio"] < 0.95
    assert gone["after_ratio"] < 0.5
    assert gone["restarts"] == 0


def test_a_container_is_killed_for_its_memory_and_starts_again(site: Site) -> None:
    """The API shows OOMKilled and one restart more, and no more of them follow."""
    proof, gone = site.carry_out(MemoryPressure(site.place, selector=SELECTOR, mode="oom_kill"))
    assert (proof["reason"], proof["exit_code"]) == ("OOMKilled", 137)
    assert proof["restarts"] == [0, 1]
    assert gone["restarts"] == 1


def test_a_volume_is_filled_and_emptied(site: Site) -> None:
    """What the container writes there fails with ENOSPC; the node's own disk is refused by name."""
    proof, gone = site.carry_out(DiskFull(site.place, selector=SELECTOR, path="/tmp"))
    assert (proof["error"], proof["free_bytes"], gone["error"]) == ("ENOSPC", 0, "")
    assert gone["free_bytes"] == 16 << 20
    refused = DiskFull(site.place, selector=SELECTOR, path="/data")
    refused.select()
    with pytest.raises(RefusedError, match="file system of the node's own"):
        refused.inject()
    assert site.agents.remainders() == []


@pytest.mark.parametrize("path", ["/tmp", "/data"])
def test_a_volume_refuses_writes_and_takes_them_again(site: Site, path: str) -> None:
    """EROFS in the one container, also on a folder of the node's disk, which stays writable elsewhere."""
    proof, gone = site.carry_out(VolumeReadOnly(site.place, selector=SELECTOR, path=path))
    assert (proof["error"], gone["error"]) == ("EROFS", "")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["cpu", "memory", "full", "read-only"])
def test_what_is_open_is_found_and_ends_by_the_nodes_own_clock(site: Site, kind: str) -> None:
    """The audit lists exactly what lasts; with a harness that is silent, it is undone by itself."""
    token = agents_site.attach(site.place.cluster)
    assert token is not None
    silent = Place(**{**vars(site.place), "agents": token})
    fault: ContainerAct = {
        "cpu": lambda: CpuPressure(silent, selector=SELECTOR),
        "memory": lambda: MemoryPressure(silent, selector=SELECTOR, limit_ratio=0.7),
        "full": lambda: DiskFull(silent, selector=SELECTOR, path="/tmp"),
        "read-only": lambda: VolumeReadOnly(silent, selector=SELECTOR, path="/data"),
    }[kind]()
    (target,) = fault.select()
    fault.inject()
    token.close()  # nothing keeps it any more
    fault.prove(TIMEOUT_S)
    assert {(one["node"], one["kind"]) for one in site.agents.remainders()} == {(target.node, fault.kind)}
    wait_until("the node to undo it", lambda: site.agents.remainders() == [], 20, interval_s=0.5)
    fault.prove_gone(TIMEOUT_S)
    fault.recovered(TIMEOUT_S)
