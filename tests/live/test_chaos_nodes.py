"""Faults on containers, nodes and the control plane of a real cluster: each is seen landing and ending."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sabotage import LabInUse

from chaos import agents_site, nodes
from chaos.cluster_agents import ClusterAgents
from chaos.fault import Evidence, Fault, Place
from chaos.guard import CHAOS_LABEL, Guard
from chaos.healer import Healer
from chaos.registry import FAULTS
from clients.kubernetes import ApiError, Cluster, Json, pod_ready
from core.errors import EnvironmentFailedError, InconclusiveError
from core.waiting import wait_until
from lab.cluster import find
from lab.images import build_chaos_image
from lab.powers import LabPowers

RUN = "20260101T000000-nodes"
NAMESPACE, SELECTOR = "chaos-nodes", "app=spread"
BUDGET = "spread"
TIMEOUT_S = 45.0
# A machine that has started again takes a while for its containers.
WHOLE_WITHIN_S = 150.0


@dataclass(frozen=True, kw_only=True)
class Site:
    """The installed agents, the lab's powers, and three replicas on two nodes."""

    lab: str
    place: Place
    agents: ClusterAgents

    @property
    def cluster(self) -> Cluster:
        return self.place.cluster

    def make(self, name: str, **settings: Any) -> Fault:
        """Return a fault."""
        fault: Any = FAULTS[name]
        made: Fault = fault(self.place, **settings)
        return made

    def carry_out(self, fault: Any) -> tuple[Evidence, Evidence, Evidence]:
        """Take a fault from its choice to the recovery; returns what proved it, its end and the recovery."""
        wait_until("the workload and the nodes to be whole", self.whole, WHOLE_WITHIN_S, interval_s=0.3)
        self.await_nothing_left()
        assert fault.select()
        steps = fault.undo() if hasattr(fault, "undo") else []
        try:
            fault.inject()
            proof = fault.prove(TIMEOUT_S)
        finally:
            Healer(self.cluster, self.agents, self.place.powers).heal(steps)
        gone = fault.prove_gone(TIMEOUT_S) if steps else {}
        recovery = fault.recovered(WHOLE_WITHIN_S)
        self.await_nothing_left()
        assert not [node.name for node in nodes.every(self.cluster) if node.cordoned]
        return proof, gone, recovery

    def whole(self) -> bool:
        """Tell whether all nodes and all replicas are Ready."""
        pods = self.cluster.list("pods", NAMESPACE, labels=SELECTOR)
        return (
            len(pods) == 3 and all(map(pod_ready, pods)) and all(n.ready for n in nodes.every(self.cluster))
        )

    def await_nothing_left(self) -> None:
        """See that no agent finds anything; one whose node has just started may take a moment to say so."""
        seen: list[object] = []

        def nothing() -> bool:
            try:
                seen[:] = self.agents.remainders()
            except EnvironmentFailedError as error:
                seen[:] = [error]
            return not seen

        wait_until(
            "every agent to find nothing left", nothing, WHOLE_WITHIN_S, interval_s=0.3, last=lambda: seen
        )

    def spread(self) -> None:
        """Make the workload's pods anew: two on one node, and one on another."""
        for pod in self.cluster.list("pods", NAMESPACE, labels=SELECTOR):
            self.cluster.delete("pods", pod["metadata"]["name"], NAMESPACE, grace_s=0)
        wait_until("three replicas on two nodes", self._is_spread, 60, interval_s=0.2)

    def _is_spread(self) -> bool:
        pods = self.cluster.list("pods", NAMESPACE, labels=SELECTOR)
        return (
            len({p["spec"].get("nodeName") for p in pods}) == 2
            and sum(map(pod_ready, pods)) == len(pods) == 3
        )

    def pods_of(self, node: str) -> list[str]:
        """Return the UIDs of the workload's pods on a node."""
        pods = self.cluster.list("pods", NAMESPACE, labels=SELECTOR, fields=f"spec.nodeName={node}")
        return [pod["metadata"]["uid"] for pod in pods]

    def fullest(self) -> str:
        """Spread the pods anew, and return the node that has two of them."""
        self.spread()
        return max(
            (node.name for node in nodes.every(self.cluster)), key=lambda name: len(self.pods_of(name))
        )


def part(proof: Evidence, group: str) -> Any:
    """Return the evidence of a proof's only target."""
    found = proof[group]
    assert isinstance(found, dict)
    (only,) = found.values()
    return only


def workload(image: str) -> Json:
    labels = {"app": "spread"}
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": labels},
    }
    return {
        "metadata": {"name": "spread", "namespace": NAMESPACE},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "topologySpreadConstraints": [spread],
                    "containers": [
                        {
                            "name": "it",
                            "image": image,
                            "args": ["http.server", "8080", "-d", "/tmp"],
                            "readinessProbe": probe,
                        }
                    ],
                },
            },
        },
    }


@pytest.fixture(scope="module")
def site(test_lab: LabInUse) -> Iterator[Site]:
    """Install the agents and the workload; remove both."""
    lab = find(test_lab.name)
    assert lab is not None
    cluster, image = lab.cluster(), build_chaos_image()
    lab.push([image])
    try:
        cluster.create("namespaces", {"metadata": {"name": NAMESPACE, "labels": {CHAOS_LABEL: "allowed"}}})
        cluster.create("deployments", workload(image.pinned))
        agents = agents_site.install(
            cluster, image=image.pinned, run_id=RUN, record=lambda *_, **__: None, heal=lambda _agents: None
        )

        def three_ready() -> bool:
            return sum(map(pod_ready, cluster.list("pods", NAMESPACE, labels=SELECTOR))) == 3

        wait_until("three replicas to be Ready", three_ready, 60, interval_s=0.2)
        place = Place(
            cluster=cluster,
            namespace=NAMESPACE,
            guard=Guard(environment="lab", chaos_allowed=True),
            seed=7,
            now=time.time,
            agents=agents,
            powers=LabPowers(test_lab.name),
        )
        yield Site(lab=test_lab.name, place=place, agents=agents)
        agents.close()
    finally:
        cluster.delete("namespaces", NAMESPACE)
        agents_site.remove(cluster)


def test_a_killed_container_is_the_agents_doing(site: Site) -> None:
    """Its end is by SIGKILL, and the kubelet counts it."""
    proof, _, _ = site.carry_out(site.make("container_kill", selector=SELECTOR))
    shown = part(proof, "containers")
    assert shown["exit_code"] == 137
    assert shown["restarts"][1] == shown["restarts"][0] + 1


def test_a_frozen_container_answers_nobody_until_it_is_thawed(site: Site) -> None:
    """All its processes are stopped, and its probe gets no answer; both end."""
    proof, gone, _ = site.carry_out(site.make("container_freeze", selector=SELECTOR))
    assert set(part(proof, "pods")["states"]) == {"T"}
    assert "no answer" in part(proof, "pods")["silence"]
    assert "T" not in part(gone, "pods")["states"]


def test_a_drain_waits_for_what_the_budget_allows(site: Site) -> None:
    """With two of a node's pods and a budget of one the second is refused until the first has a successor."""
    budget = {"minAvailable": 2, "selector": {"matchLabels": {"app": "spread"}}}
    name = site.fullest()
    before = site.pods_of(name)
    assert len(before) >= 2
    site.cluster.create(
        "poddisruptionbudgets", {"metadata": {"name": BUDGET, "namespace": NAMESPACE}, "spec": budget}
    )
    try:
        wait_until(
            "the budget to be counted",
            lambda: (
                (site.cluster.get("poddisruptionbudgets", BUDGET, NAMESPACE) or {}).get("status") or {}
            ).get("disruptionsAllowed"),
            20,
        )
        proof, _, _ = site.carry_out(site.make("node_drain", nodes=f"kubernetes.io/hostname={name}"))
    finally:
        site.cluster.delete("poddisruptionbudgets", BUDGET, NAMESPACE)
    shown = part(proof, "nodes")
    assert sorted(shown["evicted"].values()) == sorted(before)
    assert "disruption budget" in str(shown["refused_by_budget"])
    assert "it is of a DaemonSet" in shown["left"].values()
    assert not set(site.pods_of(name)) & set(before)


def test_a_drain_that_a_budget_forbids_is_inconclusive_and_forces_nothing(site: Site) -> None:
    """The pods stay, the node takes pods again, and the reason is the budget's."""
    budget = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "spread"}}}
    name = site.fullest()
    before = site.pods_of(name)
    site.cluster.create(
        "poddisruptionbudgets", {"metadata": {"name": BUDGET, "namespace": NAMESPACE}, "spec": budget}
    )
    fault: Any = site.make("node_drain", nodes=f"kubernetes.io/hostname={name}", deadline_s=3.0)
    try:
        fault.select()
        fault.inject()
        with pytest.raises(InconclusiveError, match="disruption budget"):
            fault.prove(1.0)
    finally:
        Healer(site.cluster).heal(fault.undo())
        site.cluster.delete("poddisruptionbudgets", BUDGET, NAMESPACE)
    assert fault.prove_gone(10.0)
    assert sorted(site.pods_of(name)) == sorted(before)


@pytest.mark.long
def test_a_machine_that_lost_its_power_comes_back_as_it_was(site: Site) -> None:
    """The same node, its lease renewed, its pods the same with containers that are new."""
    name = site.fullest()
    before = {node.name: node.uid for node in nodes.every(site.cluster)}
    proof, gone, recovery = site.carry_out(
        site.make("node_power_loss", selector=SELECTOR, nodes=f"kubernetes.io/hostname={name}")
    )
    assert "kubelet does not answer" in part(proof, "nodes")["silence"]
    assert part(gone, "nodes")["lease_renewed"]
    assert {node.name: node.uid for node in nodes.every(site.cluster)} == before
    assert float(str(recovery["after_s"])) > 0
    assert find(site.lab) is not None


def test_a_scheduler_outage_leaves_new_pods_without_a_node(site: Site) -> None:
    """Until it ends; the pod that showed it is gone, either way."""
    proof, gone, _ = site.carry_out(site.make("scheduler_outage"))
    assert part(proof, "components")["unscheduled_s"] > 0
    assert part(gone, "components")["node"]
    pods = site.cluster.list("pods", NAMESPACE)
    assert not [pod for pod in pods if pod["metadata"]["name"].startswith("scheduler-probe")]


def test_what_a_killed_harness_has_out_comes_back_by_the_labs_watcher(site: Site) -> None:
    """SIGKILL to the process that took the API server away: it answers again within seconds."""
    words = f"from lab.powers import LabPowers; import time; LabPowers({site.lab!r}).begin('pause', 300.0, "
    words += "component='kube-apiserver'); print('out', flush=True); time.sleep(300)"
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"out\n"
        with pytest.raises(ApiError):
            site.cluster.request("GET", "/version", timeout_s=1)
        harness.send_signal(signal.SIGKILL)
        killed_s = time.monotonic()
    wait_until("the API server to answer", lambda: answers(site.cluster), 15, interval_s=0.1)
    assert time.monotonic() - killed_s < 10


def answers(cluster: Cluster) -> bool:
    try:
        cluster.request("GET", "/version", timeout_s=1)
    except ApiError:
        return False
    return True


@pytest.mark.long
def test_a_killed_harness_gives_a_machine_its_power_back(site: Site) -> None:
    """SIGKILL to the process that took it: the node is Ready again, by the lab's watcher."""
    name = site.fullest()
    words = (
        f"from lab.powers import LabPowers; import time; LabPowers({site.lab!r}).begin('power_loss', 300.0, "
    )
    words += f"node={name!r}); print('out', flush=True); time.sleep(300)"
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"out\n"
        before = nodes.heartbeat(site.cluster, name)
        harness.send_signal(signal.SIGKILL)

    def back() -> bool:
        found = nodes.get(site.cluster, name)
        return bool(found and found.ready and nodes.heartbeat(site.cluster, name) != before)

    wait_until(f"node {name} to renew its lease", back, 60, interval_s=0.2)
    wait_until("all nodes and replicas to be Ready", site.whole, WHOLE_WITHIN_S, interval_s=0.3)
    site.await_nothing_left()


@pytest.mark.long
@pytest.mark.parametrize("name", ["kubelet_stop", "node_cut", "runtime_stop"])
def test_what_is_stopped_or_cut_off_on_a_node_is_seen_and_ends(site: Site, name: str) -> None:
    """Proved by those who ask the node, and seen to end by them."""
    proof, gone, _ = site.carry_out(site.make(name, selector=SELECTOR))
    shown = part(proof, "nodes")
    assert {"kubelet_stop": "silence", "node_cut": "from_witness", "runtime_stop": "runtime_silence"}[
        name
    ] in shown
    assert part(gone, "nodes")["ready"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["api_server_outage", "etcd_pause"])
def test_a_control_plane_that_is_out_is_seen_and_comes_back(site: Site, name: str) -> None:
    """Proved by what is not answered, and by answers again."""
    proof, gone, _ = site.carry_out(site.make(name))
    assert part(proof, "components")["silence" if name == "api_server_outage" else "unread"]
    assert part(gone, "components")


@pytest.mark.long
def test_a_crash_loop_is_proved_kill_by_kill(site: Site) -> None:
    """Each kill is of the container that the one before it had started."""
    fault = site.make("container_kill_repeated", selector=SELECTOR, duration_s=40.0, interval_s=8.0)
    proof, _, recovery = site.carry_out(fault)
    kills = proof["kills"]
    assert isinstance(kills, list)
    assert len(kills) >= 2
    assert recovery["replicas"]
