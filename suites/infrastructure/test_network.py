"""The network lets in what it must, and nothing else."""

from __future__ import annotations

import pytest

from fixtures.infrastructure.reading import Infrastructure, open_permissions

pytestmark = [pytest.mark.readonly, pytest.mark.quick]


def test_private_subnets_have_no_way_in(vpc: Infrastructure) -> None:
    """No private subnet has a route to the internet gateway, and nothing in it gets a public address."""
    subnets = vpc.private_subnets()
    assert subnets
    for subnet in subnets:
        gateways = [str(route.get("GatewayId", "")) for route in vpc.routes(subnet["SubnetId"])]
        assert not [gateway for gateway in gateways if gateway.startswith("igw-")], subnet["SubnetId"]
        assert not subnet["MapPublicIpOnLaunch"], subnet["SubnetId"]


def test_private_subnets_lie_in_several_zones(vpc: Infrastructure) -> None:
    """As many zones as promised have a private subnet."""
    zones = {subnet["AvailabilityZone"] for subnet in vpc.private_subnets()}
    assert len(zones) == vpc.promises.zones, zones


def test_each_zone_has_its_own_way_out(vpc: Infrastructure) -> None:
    """Where the loss of a zone is to be survived, each private subnet leaves by a NAT gateway of its own."""
    if not vpc.promises.nat_per_zone:
        pytest.skip(f"not promised for {vpc.environment}")
    gateways = [
        route["NatGatewayId"]
        for subnet in vpc.private_subnets()
        for route in vpc.routes(subnet["SubnetId"])
        if route.get("NatGatewayId")
    ]
    assert len(set(gateways)) == len(vpc.private_subnets()), gateways


def test_the_default_security_group_is_closed(vpc: Infrastructure) -> None:
    """Whatever forgets to name a security group gets one that lets nothing through."""
    [default] = [group for group in vpc.security_groups() if group["GroupName"] == "default"]
    assert default["IpPermissions"] == []
    assert default["IpPermissionsEgress"] == []


def test_no_security_group_is_open_to_the_internet(vpc: Infrastructure) -> None:
    """No group of the VPC lets anything in from anywhere."""
    opened = {group["GroupName"]: list(open_permissions(group)) for group in vpc.security_groups()}
    assert {name: found for name, found in opened.items() if found} == {}


def test_flow_logs_are_written(vpc: Infrastructure) -> None:
    """Where it is promised, all traffic of the VPC is logged."""
    if not vpc.promises.flow_logs:
        pytest.skip(f"not promised for {vpc.environment}")
    assert [log["TrafficType"] for log in vpc.flow_logs()] == ["ALL"]
