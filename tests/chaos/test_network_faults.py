"""The faults of pods' networks: proved by measurements, and inconclusive where those show nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from fake_network import NAMESPACE, FakeAgents, Networks, without_a_kernel

from chaos.disturbance import permissions_of
from chaos.fault import Place
from chaos.guard import Guard
from chaos.healer import Healer
from chaos.registry import FAULTS
from core.errors import InconclusiveError, RefusedError

SETTINGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "partition": ("network_partition", {"peers": "app=store"}),
    "partition-out": ("network_partition", {"peers": "app=store", "ways": "out"}),
    "partition-in": ("network_partition", {"peers": "app=store", "ways": "in"}),
    "loss": ("network_loss", {"loss_ratio": 0.2}),
    "loss-service": ("network_loss", {"loss_ratio": 0.5, "service": "store"}),
    "delay": ("network_delay", {"delay_ms": 100.0, "jitter_ms": 10.0}),
    "delay-service": ("network_delay", {"delay_ms": 100.0, "service": "store.ecochain"}),
    "bandwidth": ("network_bandwidth", {"rate_bit_s": 1e6}),
    "reset": ("connection_reset", {"reset_ratio": 0.5}),
    "reset-service": ("connection_reset", {"service": "store"}),
    "dns-refused": ("dns_failure", {}),
    "dns-hanging": ("dns_failure", {"mode": "hanging"}),
    "dns-wrong": ("dns_wrong_answer", {"lookup": "store"}),
    "dns-none": ("dns_wrong_answer", {"lookup": "store", "answer": "nxdomain"}),
    "outage-refused": ("dependency_outage", {"service": "store"}),
    "outage-hanging": ("dependency_outage", {"service": "store", "mode": "hanging"}),
    "outage-slow": ("dependency_outage", {"service": "store", "mode": "slow", "delay_ms": 300.0}),
    "outage-5xx": ("dependency_outage", {"service": "store", "mode": "5xx", "status": 502}),
}
EVERY = pytest.mark.parametrize("case", SETTINGS)


@pytest.fixture(autouse=True)
def _(monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_kernel(monkeypatch)


def place_in(cluster: Networks, agents: FakeAgents | None, **guard: Any) -> Place:
    return Place(
        cluster=cluster,  # type: ignore[arg-type]
        namespace=NAMESPACE,
        guard=Guard(**{"environment": "lab", "chaos_allowed": True, **guard}),
        seed=7,
        now=time.time,
        agents=agents,
        poll_s=0.01,
        settle_s=0.02,
    )


def make(case: str, place: Place, **more: Any) -> Any:
    name, settings = SETTINGS[case]
    return FAULTS[name](place, **{"selector": "app=auth", "duration_s": 5.0, **settings, **more})


def injected(case: str) -> tuple[Any, FakeAgents, Networks]:
    cluster = Networks()
    agents = FakeAgents(cluster)
    fault = make(case, place_in(cluster, agents))
    fault.select()
    return fault, agents, cluster


@EVERY
def test_a_fault_is_proved_by_what_is_measured_and_so_is_its_end(case: str) -> None:
    """The evidence has the measurement of before beside that of the fault and of its end."""
    fault, agents, cluster = injected(case)
    steps = fault.undo()
    assert fault.undo() == steps
    fault.inject()
    assert [step.args["act_id"] for step in steps] == [act.id for act in agents.begun]
    proof = fault.prove(0.1)
    (shown,) = proof["pods"].values()
    assert shown["before"] != shown["during"]
    assert proof["mechanisms"] == ["fake"]
    Healer(cluster, agents).heal(steps)  # type: ignore[arg-type]
    assert agents.open == {}
    (gone,) = fault.prove_gone(0.1)["pods"].values()
    assert gone["before"] == gone["after"]
    assert fault.recovered(1)["recovered_s"]


@EVERY
def test_a_fault_without_effect_is_inconclusive(case: str) -> None:
    """The agent says that it did it, as when the rule is in another namespace: nothing is measured."""
    fault, agents, _ = injected(case)
    agents.effective = False
    fault.inject()
    assert agents.begun
    with pytest.raises(InconclusiveError, match="was not seen landing"):
        fault.prove(0.05)


@EVERY
def test_an_effect_that_stays_is_inconclusive(case: str) -> None:
    """The agent says that it undid it, and the measurement still shows it."""
    fault, agents, cluster = injected(case)
    agents.lasting = False
    fault.inject()
    Healer(cluster, agents).heal(fault.undo())  # type: ignore[arg-type]
    with pytest.raises(InconclusiveError, match="was not seen ending"):
        fault.prove_gone(0.05)


@EVERY
def test_a_target_that_shows_it_beforehand_is_not_touched(case: str) -> None:
    """What was ill before proves nothing."""
    fault, agents, _ = injected(case)
    agents.ill = True
    with pytest.raises(InconclusiveError, match=r"pod auth-\d, before it was touched"):
        fault.inject()
    assert agents.begun == []


@EVERY
def test_an_agent_that_does_not_answer_is_inconclusive(case: str) -> None:
    """What cannot be measured is not proved."""
    fault, agents, _ = injected(case)
    fault.inject()
    agents.alive = False
    with pytest.raises(InconclusiveError, match="the agent does not answer"):
        fault.prove(0.05)


@EVERY
def test_without_agents_it_is_refused_by_name(case: str) -> None:
    """Nothing else could do it."""
    with pytest.raises(RefusedError, match=f"fault {SETTINGS[case][0]} needs an agent"):
        make(case, place_in(Networks(), None)).select()


@EVERY
def test_a_pod_with_its_nodes_network_is_refused(case: str) -> None:
    """The act would hit every pod of the node."""
    cluster = Networks(host_network=True)
    with pytest.raises(RefusedError, match="uses its node's network"):
        make(case, place_in(cluster, FakeAgents(cluster))).select()


@EVERY
def test_the_guard_refuses_before_anything_is_touched(case: str) -> None:
    """A namespace without the label, and a selection that leaves no replica."""
    cluster = Networks(allowed=False)
    with pytest.raises(RefusedError, match="lacks the label"):
        make(case, place_in(cluster, FakeAgents(cluster))).select()
    cluster = Networks()
    with pytest.raises(RefusedError, match="3 targets of 3 ready"):
        make(case, place_in(cluster, FakeAgents(cluster)), share=1.0).select()


@EVERY
def test_a_share_is_rounded_up_and_the_seed_decides(case: str) -> None:
    """A third of three and a little is two; the same seed hits the same pods."""
    cluster = Networks()
    place = place_in(cluster, FakeAgents(cluster))
    chosen = [make(case, place, share=0.4).select() for _ in range(2)]
    assert chosen[0] == chosen[1]
    assert sum(1 for target in chosen[0] if target.pod.startswith("auth")) == 2


@EVERY
def test_no_target_is_inconclusive(case: str) -> None:
    """Nothing matches, nothing is touched."""
    cluster = Networks()
    agents = FakeAgents(cluster)
    with pytest.raises(InconclusiveError, match="matches no pod"):
        make(case, place_in(cluster, agents), selector="app=nobody").select()


@EVERY
def test_its_permissions_name_what_it_reads(case: str) -> None:
    """They are asked for before the first fault; a Service is read in its own namespace."""
    cluster = Networks()
    told = [str(one) for one in permissions_of(make(case, place_in(cluster, FakeAgents(cluster))))]
    assert "list pods in ecochain" in told
    if "service" in SETTINGS[case][1]:
        assert "get services in ecochain" in told


@pytest.mark.parametrize("way", ["out", "in"])
def test_a_partition_both_ways_is_none_of_one_way(way: str) -> None:
    """A direction that is not to be cut must still be heard."""
    fault, agents, _ = injected(f"partition-{way}")
    fault.inject()
    agents.twisted = True
    with pytest.raises(InconclusiveError, match="though that way is not cut"):
        fault.prove(0.05)


def test_a_partition_drops_the_services_of_the_peers_and_no_others() -> None:
    """Within the pod the address is the Service's; one that stands for other pods as well is left alone."""
    fault, agents, _ = injected("partition")
    fault.inject()
    first = agents.begun[0]
    assert set(first.params["addresses"]) == {"10.1.0.11", "10.1.0.12", "10.96.0.7"}
    assert {act.container_id[0] for act in agents.begun} == {"a", "b"}


def test_peers_that_are_the_targets_are_refused() -> None:
    """A set cannot be cut off from itself."""
    cluster = Networks()
    with pytest.raises(RefusedError, match="match the chosen pods"):
        make("partition", place_in(cluster, FakeAgents(cluster)), peers="app=auth").select()


def test_an_outage_covers_the_service_and_its_endpoints() -> None:
    """Clients may know either."""
    fault, agents, _ = injected("outage-refused")
    fault.inject()
    (act,) = agents.begun
    assert set(act.params["addresses"]) == {"10.96.0.7", "10.1.0.11", "10.1.0.12"}
    assert act.params["ports"] == [6379]


def test_errors_in_the_name_of_an_encrypted_upstream_are_refused() -> None:
    """Nobody else can speak TLS for it; the other modes work."""
    cluster = Networks()
    service = cluster.objects["services", NAMESPACE, "store"]
    service["spec"]["ports"] = [{"port": 443, "name": "https"}]
    place = place_in(cluster, FakeAgents(cluster))
    with pytest.raises(RefusedError, match="expected refused, hanging or slow"):
        make("outage-5xx", place).select()
    assert make("outage-hanging", place).select()


def test_a_target_that_goes_before_the_act_is_inconclusive() -> None:
    """It went after it was chosen: its successor is no target."""
    fault, agents, cluster = injected("delay")
    (target,) = {pod.target for pod in fault.pods}
    measure = fault.measure

    def measure_and_lose(pod: Any) -> Any:
        cluster.objects["pods", NAMESPACE, target.pod]["metadata"]["uid"] = "uid-new"
        return measure(pod)

    fault.measure = measure_and_lose
    with pytest.raises(InconclusiveError, match="went before it was touched"):
        fault.inject()
    assert agents.begun == []


def test_a_pod_that_was_replaced_has_taken_its_rules_along() -> None:
    """Its network has gone; the recovery looks at the replacement."""
    fault, _, cluster = injected("delay")
    (target,) = {pod.target for pod in fault.pods}
    fault.inject()
    cluster.objects["pods", NAMESPACE, target.pod]["metadata"]["uid"] = "uid-new"
    assert fault.prove_gone(0.1)["pods"] == {target.pod: {"replaced": True}}


def test_a_container_started_again_is_asked_under_its_new_id() -> None:
    """A liveness probe may restart it while its names fail."""
    fault, agents, cluster = injected("dns-refused")
    (target,) = {pod.target for pod in fault.pods}
    fault.inject()
    status = cluster.objects["pods", NAMESPACE, target.pod]["status"]["containerStatuses"][0]
    status["containerID"] = "containerd://" + "c" * 64
    for act_id, act in agents.open.items():
        agents.open[act_id] = replace(act, container_id="c" * 64)
    assert fault.prove(0.1)


@pytest.mark.parametrize(
    ("case", "wrong", "words"),
    [
        ("loss", {"loss_ratio": 20.0}, "loss_ratio: expected 0.01 to 1, got 20"),
        ("delay", {"delay_ms": 0.1}, "delay_ms: expected 5 to 10000"),
        ("delay", {"jitter_ms": 90.0}, "jitter_ms: expected 0 to a fifth"),
        ("bandwidth", {"rate_bit_s": 1.0}, "rate_bit_s: expected 64000"),
        ("reset", {"reset_ratio": 0.0}, "reset_ratio: expected 0.05 to 1"),
        ("dns-wrong", {"answer": "::1"}, "answer: expected an IPv4 address or nxdomain"),
        ("outage-5xx", {"status": 404}, "status: expected 500 to 504"),
        ("outage-slow", {"delay_ms": 1.0}, "delay_ms: expected 50 to 10000"),
        ("loss", {"duration_s": 0.0}, "duration_s: expected seconds > 0"),
        ("loss", {"share": 1.5}, "share: expected 0 < share <= 1"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(case: str, wrong: dict, words: str) -> None:
    """With what was expected and what was given."""
    with pytest.raises(RefusedError, match=words):
        make(case, place_in(Networks(), None), **wrong)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("nobody", "service 'nobody' does not exist in namespace 'ecochain'"),
        ("a.b.c", "expected NAME or NAME.NAMESPACE"),
        ("outside", "is of type ExternalName"),
    ],
)
def test_a_service_that_is_none_is_refused(service: str, words: str) -> None:
    """Before anything is touched."""
    cluster = Networks()
    spec = {"type": "ExternalName", "externalName": "store.example"}
    cluster.put("services", {"metadata": {"name": "outside", "namespace": NAMESPACE}, "spec": spec})
    with pytest.raises(RefusedError, match=words):
        make("outage-refused", place_in(cluster, FakeAgents(cluster)), service=service).select()
