"""A lab's plan: names and addresses that do not collide, and input that is checked."""

from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest

from core.errors import RefusedError
from lab.plan import DEFAULT_SUBNETS, MAX_NODES, Plan, choose_subnet


def test_all_addresses_of_a_plan_lie_in_its_subnet_and_apart() -> None:
    """Machines, pods of each node and Services share the /16 without overlapping."""
    plan = Plan(name="here", subnet="10.201.0.0/16", nodes=MAX_NODES)
    ranges = [ipaddress.ip_network(str(worker.pod_subnet)) for worker in plan.workers]
    ranges += [ipaddress.ip_network(plan.service_subnet), ipaddress.ip_network("10.201.0.0/24")]
    assert all(part.subnet_of(ipaddress.ip_network(plan.subnet)) for part in ranges)
    assert not [pair for pair in combinations(ranges, 2) if pair[0].overlaps(pair[1])]
    addresses = {plan.host_address, *(machine.address for machine in plan.machines)}
    assert len(addresses) == MAX_NODES + 2
    assert all(ipaddress.ip_address(a) in ipaddress.ip_network("10.201.0.0/24") for a in addresses)
    pods = ipaddress.ip_network(plan.pod_range)
    assert all(ipaddress.ip_network(str(worker.pod_subnet)).subnet_of(pods) for worker in plan.workers)
    services = ipaddress.ip_network(plan.service_subnet)
    assert all(ipaddress.ip_address(a) in services for a in (plan.dns_address, plan.api_service_address))


def test_two_labs_share_no_name_on_the_machine() -> None:
    """Links, namespaces, cgroups and folders differ; a link's name fits the kernel's 15 characters."""
    made = []
    for name in ("a", "a-b", "b", "a" * 20):
        plan = Plan(name=name, subnet="10.201.0.0/16", nodes=MAX_NODES)
        names = {plan.host_link, plan.switch, plan.cgroup, str(plan.folder)}
        made.append(names | {machine.netns for machine in plan.machines})
        assert len(plan.host_link) <= 15
    assert not [pair for pair in combinations(made, 2) if pair[0] & pair[1]]


@pytest.mark.parametrize("name", ["", "A", "1a", "a_b", "a-", "-a", "a.b", "../a", "a" * 21, "a\n"])
def test_a_name_that_could_not_name_everything_is_refused(name: str) -> None:
    """A lab's name ends in paths, cgroups and host names: what one of them can not carry is refused."""
    with pytest.raises(RefusedError, match="lab name: expected a letter"):
        Plan(name=name, subnet="10.201.0.0/16", nodes=1)


@pytest.mark.parametrize("subnet", ["10.0.0.0/8", "10.1.2.0/16", "1.1.0.0/16", "fd00::/16", "x", ""])
def test_a_subnet_that_is_no_private_16_is_refused(subnet: str) -> None:
    """The error shows what was got."""
    with pytest.raises(RefusedError, match="subnet: expected a private IPv4 /16, got"):
        Plan(name="here", subnet=subnet, nodes=1)


@pytest.mark.parametrize("nodes", [0, -1, MAX_NODES + 1])
def test_a_number_of_nodes_out_of_range_is_refused(nodes: int) -> None:
    """The error shows the range and what was got."""
    with pytest.raises(RefusedError, match=f"nodes: expected 1 to {MAX_NODES}, got {nodes}"):
        Plan(name="here", subnet="10.201.0.0/16", nodes=nodes)


def test_the_last_nodes_are_those_for_ai() -> None:
    """As many as asked for; at least one node takes everything else."""
    workers = Plan(name="here", subnet="10.201.0.0/16", nodes=3, ai_nodes=1).workers
    assert [(worker.name, worker.workload) for worker in workers] == [
        ("node1", None),
        ("node2", None),
        ("node3", "ai"),
    ]
    with pytest.raises(RefusedError, match="ai nodes: expected 0 to 2 of 3 nodes, got 3"):
        Plan(name="here", subnet="10.201.0.0/16", nodes=3, ai_nodes=3)


def test_the_first_subnet_that_is_free_is_chosen() -> None:
    """Neither one that a lab holds nor one that the machine uses; none left is refused."""
    held, used = DEFAULT_SUBNETS[0], DEFAULT_SUBNETS[1]
    assert choose_subnet([held], lambda s: "a link" if s == used else None) == DEFAULT_SUBNETS[2]
    assert choose_subnet([]) == DEFAULT_SUBNETS[0]
    with pytest.raises(RefusedError, match="default subnets are taken"):
        choose_subnet(DEFAULT_SUBNETS)
