"""The power over nodes that are EC2 instances: stopped, started again, and never what must not be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from clients.aws import Aws, Credentials
from core.errors import RefusedError
from fixtures import ec2_powers
from fixtures.ec2_powers import GROUP_TAG, Ec2Powers
from lab.aws_double import ACCESS_KEY, REGION, SECRET_KEY, AwsDouble


@pytest.fixture(scope="module")
def aws(double: AwsDouble) -> Aws:
    credentials = Credentials(access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    return Aws(endpoint_url=double.endpoint_url, region=REGION, credentials=credentials)


@pytest.fixture
def powers(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Ec2Powers:
    """Give the power over the double's account."""
    monkeypatch.setattr(ec2_powers, "_LOOK_S", 0.05)
    return Ec2Powers(accounts=[aws.account()], regions=[REGION], open_region=lambda _: aws)


def running(aws: Aws, **tags: str) -> Iterator[str]:
    """Run an instance for a test; only the tags' key of the group may hold a colon."""
    ec2 = aws.client("ec2")
    given = [{"Key": GROUP_TAG if key == "group" else key, "Value": value} for key, value in tags.items()]
    made = ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": given}] if given else [],
    )
    number = made["Instances"][0]["InstanceId"]
    yield number
    ec2.terminate_instances(InstanceIds=[number])


@pytest.fixture
def node(aws: Aws) -> Iterator[str]:
    """Give an instance of a group."""
    yield from running(aws, group="workers")


@pytest.fixture
def lonely(aws: Aws) -> Iterator[str]:
    """Give an instance of no group."""
    yield from running(aws, Name="bastion")


def named(instance: str) -> dict[str, Any]:
    return {"node": "ip-10-0-0-1", "provider_id": f"aws:///{REGION}a/{instance}"}


def state(aws: Aws, instance: str) -> str:
    found = aws.client("ec2").describe_instances(InstanceIds=[instance])
    return str(found["Reservations"][0]["Instances"][0]["State"]["Name"])


def test_a_node_is_stopped_and_started_again(powers: Ec2Powers, aws: Aws, node: str) -> None:
    """The instance of its providerID, and twice is harmless."""
    did = powers.begin("power_loss", 60, **named(node))
    assert did == {"instance": node, "group": "workers"}
    assert state(aws, node) in ("stopping", "stopped")
    for _ in range(2):
        powers.end("power_loss", **named(node))
    assert state(aws, node) in ("pending", "running")


def test_what_no_group_replaces_is_not_stopped(powers: Ec2Powers, aws: Aws, lonely: str) -> None:
    """Nobody would start it again if the harness were gone."""
    with pytest.raises(RefusedError, match="expected one of an Auto Scaling group"):
        powers.begin("power_loss", 60, **named(lonely))
    assert state(aws, lonely) == "running"


def test_another_account_or_region_is_refused(powers: Ec2Powers, aws: Aws, node: str) -> None:
    """Only the accounts and the regions of the settings are touched."""
    with pytest.raises(RefusedError, match=r"expected one of aws\.accounts"):
        replace(powers, accounts=["999999999999"]).begin("power_loss", 60, **named(node))
    with pytest.raises(RefusedError, match="expected a region"):
        replace(powers, regions=["eu-west-1"]).begin("power_loss", 60, **named(node))
    assert state(aws, node) == "running"


@pytest.mark.parametrize("provider_id", ["", "lab://node1", "aws:///us-east-1a/", "gce://p/z/i"])
def test_a_node_that_is_no_instance_is_refused(powers: Ec2Powers, provider_id: str) -> None:
    """The error has what a providerID looks like, and the one that the node has."""
    with pytest.raises(RefusedError, match=r"expected a providerID such as aws:///us-east-1a/i-0abc, got"):
        powers.begin("power_loss", 60, node="n", provider_id=provider_id)


def test_the_control_plane_is_out_of_reach(powers: Ec2Powers) -> None:
    """It is AWS' own: refused by name."""
    assert powers.offers() == {"power_loss"}
    with pytest.raises(RefusedError, match="managed control plane is out of reach"):
        powers.begin("pause", 60, component="etcd")


def test_an_instance_that_its_group_has_replaced_is_left(powers: Ec2Powers, aws: Aws, node: str) -> None:
    """What is terminated, or was never there, cannot be started and needs not be."""
    aws.client("ec2").terminate_instances(InstanceIds=[node])
    powers.end("power_loss", **named(node))
    powers.end("power_loss", **named("i-0123456789abcdef0"))
    assert state(aws, node) in ("shutting-down", "terminated")
