"""The faults of the network on a real cluster: what they do, and its end, is seen by the pods themselves.

The workload `near` has a pod that is hit and one that is not, `far` is who they talk to. Each fault's own
proof is beside what the pods find with their own sockets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from network_ends import FAR, NAMESPACE, NEAR, End, service, workload
from sabotage import LabInUse

from chaos import agents_site, audit
from chaos.cluster_agents import ClusterAgents
from chaos.fault import Place
from chaos.faults.connection_reset import ConnectionReset
from chaos.faults.dependency_outage import DependencyOutage
from chaos.faults.dns_failure import DnsFailure
from chaos.faults.dns_wrong_answer import DnsWrongAnswer
from chaos.faults.network_bandwidth import NetworkBandwidth
from chaos.faults.network_delay import NetworkDelay
from chaos.faults.network_loss import NetworkLoss
from chaos.faults.network_partition import NetworkPartition
from chaos.guard import CHAOS_LABEL, Guard
from chaos.healer import Healer
from chaos.network_fault import NetworkFault
from clients.kubernetes import Cluster, Json, pod_ready
from core.waiting import wait_until
from lab.cluster import find
from lab.images import build_chaos_image

RUN = "20260101T000000-network"
SELECTOR = f"app={NEAR}"
TIMEOUT_S = 40.0
NO_NAME = "Name or service not known"
NO_SERVER = "Temporary failure in name resolution"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Site:
    """The installed agents and the two workloads."""

    place: Place
    agents: ClusterAgents

    @property
    def cluster(self) -> Cluster:
        return self.place.cluster

    def carry_out(self, fault: NetworkFault, look: Callable[[End, End, End], T]) -> tuple[T, T, T]:
        """Take a fault from its choice to the recovery; returns what is seen before, during and after it.

        `look` gets the pod that is hit, the other one of its workload, and the far one.
        """
        targets = fault.select()
        hit = self.end(lambda pod: pod["metadata"]["name"] == targets[0].pod)
        spared = self.end(
            lambda pod: pod["metadata"]["labels"]["app"] == NEAR and pod["metadata"]["name"] != targets[0].pod
        )
        far = self.end(lambda pod: pod["metadata"]["labels"]["app"] == FAR)
        before = look(hit, spared, far)
        steps = fault.undo()
        try:
            fault.inject()
            fault.prove(TIMEOUT_S)
            during = look(hit, spared, far)
            assert audit.remainders(self.cluster, self.agents), "the audit does not see what is there"
        finally:
            Healer(self.cluster, self.agents).heal(steps)
        fault.prove_gone(TIMEOUT_S)
        after = look(hit, spared, far)
        fault.recovered(TIMEOUT_S)
        assert audit.remainders(self.cluster, self.agents) == []
        return before, during, after

    def end(self, wanted: Callable[[Json], bool]) -> End:
        """Return the one pod that is wanted."""
        (pod,) = filter(wanted, self.cluster.list("pods", NAMESPACE))
        return End(cluster=self.cluster, name=pod["metadata"]["name"], address=pod["status"]["podIP"])

    def address_of(self, name: str) -> str:
        """Return a Service's address."""
        found = self.cluster.get("services", name, NAMESPACE)
        assert found is not None
        return str(found["spec"]["clusterIP"])


@pytest.fixture(scope="module")
def site(test_lab: LabInUse) -> Iterator[Site]:
    """Install the agents and the workloads; remove both."""
    lab = find(test_lab.name)
    assert lab is not None
    cluster, image = lab.cluster(), build_chaos_image()
    lab.push([image])
    try:
        cluster.create("namespaces", {"metadata": {"name": NAMESPACE, "labels": {CHAOS_LABEL: "allowed"}}})
        for name, replicas in ((NEAR, 2), (FAR, 1)):
            cluster.create("services", service(name))
            cluster.create("deployments", workload(name, image.pinned, replicas))
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

        def all_ready() -> bool:
            return sum(map(pod_ready, cluster.list("pods", NAMESPACE))) == 3

        wait_until("the three pods to be Ready", all_ready, 60, interval_s=0.2)
        yield Site(place=place, agents=agents)
        agents.close()
    finally:
        cluster.delete("namespaces", NAMESPACE)
        agents_site.remove(cluster)


@pytest.mark.long
def test_a_partition_cuts_both_ways_and_only_between_its_two_sets(site: Site) -> None:
    """Neither reaches the other, by address or Service; the other replica reaches both and is reached."""
    service = site.address_of(FAR)

    def look(hit: End, spared: End, far: End) -> dict[str, set[str]]:
        return {
            "hit to far": hit.outcomes(far.address),
            "hit to the Service": hit.outcomes(service),
            "far to hit": far.outcomes(hit.address),
            "spared to far": spared.outcomes(service),
            "far to spared": far.outcomes(spared.address),
            "hit to spared": hit.outcomes(spared.address),
        }

    before, during, after = site.carry_out(
        NetworkPartition(site.place, selector=SELECTOR, peers=f"app={FAR}"), look
    )
    cut = {"hit to far", "hit to the Service", "far to hit"}
    assert before == after == {way: {"200"} for way in before}
    assert during == {way: {"TimeoutError"} if way in cut else {"200"} for way in before}


@pytest.mark.long
@pytest.mark.parametrize("ways", ["out", "in"])
def test_a_partition_cuts_one_way_alone(site: Site, ways: Any) -> None:
    """Of twenty datagrams all arrive that way which is not cut, and none the other."""

    def look(hit: End, spared: End, far: End) -> dict[str, int]:
        return {"out": far.heard_of(hit), "in": hit.heard_of(far), "spared": far.heard_of(spared)}

    fault = NetworkPartition(site.place, selector=SELECTOR, peers=f"app={FAR}", ways=ways)
    before, during, after = site.carry_out(fault, look)
    assert before == after == {"out": 20, "in": 20, "spared": 20}
    assert during == {"out": 20, "in": 20, "spared": 20} | {ways: 0}


@pytest.mark.long
def test_a_share_of_the_packets_is_lost_each_way(site: Site) -> None:
    """Of 300 datagrams a share arrives that 30 % lost explain (six deviations), and all of the other pod."""

    def look(hit: End, spared: End, far: End) -> dict[str, int]:
        return {
            "out": far.heard_of(hit, 300),
            "in": hit.heard_of(far, 300),
            "spared": far.heard_of(spared, 300),
        }

    before, during, after = site.carry_out(NetworkLoss(site.place, selector=SELECTOR, loss_ratio=0.3), look)
    assert before == after == {"out": 300, "in": 300, "spared": 300}
    assert during["spared"] == 300
    assert 162 <= during["out"] <= 258
    assert 162 <= during["in"] <= 258


@pytest.mark.long
def test_round_trips_of_the_pod_alone_are_delayed(site: Site) -> None:
    """A connection to it takes the delay longer; one to the other replica does not."""

    def look(hit: End, spared: End, far: End) -> tuple[float, float]:
        return far.connect_s(hit.address), far.connect_s(spared.address)

    before, during, after = site.carry_out(NetworkDelay(site.place, selector=SELECTOR, delay_ms=300.0), look)
    assert max(*before, *after) < 0.1
    assert 0.29 <= during[0] < 0.6
    assert during[1] < 0.1


@pytest.mark.long
def test_round_trips_with_one_service_alone_are_delayed(site: Site) -> None:
    """What the pod asks of another peer, and who asks the pod, is not delayed."""
    service = site.address_of(FAR)

    def look(hit: End, spared: End, far: End) -> tuple[float, float, float]:  # noqa: ARG001
        return hit.connect_s(service), hit.connect_s(spared.address), spared.connect_s(hit.address)

    fault = NetworkDelay(site.place, selector=SELECTOR, delay_ms=300.0, service=FAR)
    before, during, after = site.carry_out(fault, look)
    assert max(*before, *after) < 0.1
    assert 0.29 <= during[0] < 0.6
    assert max(during[1:]) < 0.1


@pytest.mark.long
def test_what_leaves_the_pod_is_limited(site: Site) -> None:
    """A megabyte comes from it at the rate; from the other replica, and to it, as before."""
    rate_bit_s, size_bytes = 4e6, 1_000_000

    def look(hit: End, spared: End, far: End) -> tuple[float, float, float]:
        return (
            far.bit_s(hit.address, size_bytes),
            far.bit_s(spared.address, size_bytes),
            hit.bit_s(far.address, size_bytes),
        )

    before, during, after = site.carry_out(
        NetworkBandwidth(site.place, selector=SELECTOR, rate_bit_s=rate_bit_s), look
    )
    assert min(*before, *after) > 4 * rate_bit_s
    assert 0.7 * rate_bit_s < during[0] < 1.1 * rate_bit_s
    assert min(during[1:]) > 4 * rate_bit_s


@pytest.mark.long
def test_connections_are_reset_once_they_carry_data(site: Site) -> None:
    """They open, and then there is no answer; the pod's own calls and the other replica are not hit."""

    def look(hit: End, spared: End, far: End) -> tuple[Any, ...]:
        found = far.visits(hit.address, count=5)
        opened = all(one["connect_s"] is not None for one in found)
        return (
            {one["outcome"] for one in found},
            opened,
            far.outcomes(spared.address),
            hit.outcomes(far.address),
        )

    before, during, after = site.carry_out(ConnectionReset(site.place, selector=SELECTOR), look)
    assert before == after == ({"200"}, True, {"200"}, {"200"})
    assert during == ({"ConnectionResetError"}, True, {"200"}, {"200"})


@pytest.mark.long
@pytest.mark.parametrize("mode", ["refused", "hanging"])
def test_names_are_not_resolved(site: Site, mode: Any) -> None:
    """The pod's own resolver gives up; by address all goes on, and the other replica resolves."""
    service = site.address_of(FAR)

    def look(hit: End, spared: End, far: End) -> tuple[list[str], list[str], set[str]]:  # noqa: ARG001
        return hit.resolved(FAR), spared.resolved(FAR), hit.outcomes(service)

    before, during, after = site.carry_out(DnsFailure(site.place, selector=SELECTOR, mode=mode), look)
    assert before == after == ([service], [service], {"200"})
    assert during == ([NO_SERVER], [service], {"200"})


@pytest.mark.long
@pytest.mark.parametrize(("answer", "shown"), [("192.0.2.7", "192.0.2.7"), ("nxdomain", NO_NAME)])
def test_one_name_is_answered_wrongly(site: Site, answer: str, shown: str) -> None:
    """The pod's own resolver takes it; other names, and the other replica's answers, are true."""
    near, far_service = site.address_of(NEAR), site.address_of(FAR)

    def look(hit: End, spared: End, far: End) -> tuple[list[str], list[str], list[str]]:  # noqa: ARG001
        return hit.resolved(FAR), hit.resolved(NEAR), spared.resolved(FAR)

    fault = DnsWrongAnswer(site.place, selector=SELECTOR, lookup=FAR, answer=answer)
    before, during, after = site.carry_out(fault, look)
    assert before == after == ([far_service], [near], [far_service])
    assert during == ([shown], [near], [far_service])


@pytest.mark.long
@pytest.mark.parametrize(
    ("mode", "outcome"),
    [("refused", "ConnectionRefusedError"), ("hanging", "TimeoutError"), ("5xx", "503"), ("slow", "200")],
)
def test_an_upstream_is_out_for_its_client_alone(site: Site, mode: Any, outcome: str) -> None:
    """By its Service and by its pod's address; the other client, and the upstream itself, notice nothing."""
    service = site.address_of(FAR)

    def look(hit: End, spared: End, far: End) -> dict[str, Any]:
        asked = [*hit.visits(service, count=2, timeout_s=2.0), *hit.visits(far.address, timeout_s=2.0)]
        return {
            "hit": {one["outcome"] for one in asked},
            "slowest_s": max(one["total_s"] for one in asked),
            "fastest_s": min(one["total_s"] for one in asked),
            "others": spared.outcomes(service) | far.outcomes(hit.address) | far.outcomes("127.0.0.1"),
        }

    fault = DependencyOutage(
        site.place, selector=SELECTOR, service=FAR, mode=mode, delay_ms=600.0, status=503
    )
    before, during, after = site.carry_out(fault, look)
    for seen in (before, after):
        assert seen["hit"] == {"200"}
        assert seen["slowest_s"] < 0.5
    assert during["hit"] == {outcome}
    if mode == "slow":
        # The connection takes a delay, and so does its answer.
        assert 0.59 <= during["fastest_s"] <= during["slowest_s"] < 2.0
    assert before["others"] == during["others"] == after["others"] == {"200"}
