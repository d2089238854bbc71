"""What is left of a run is found by tag and by name, and nothing else is taken for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from clients.aws import RUN_TAG, Aws, Credentials
from clients.aws_inventory import Resource, inventory, is_part, known_types, remains
from clients.aws_prices import CLASSES
from core.errors import EnvironmentFailedError
from core.places import checkout
from lab.aws_double import ACCESS_KEY, REGION, SECRET_KEY, AwsDouble

PREFIX = "ecochain-lab-run-a"
TAG = {"Key": RUN_TAG, "Value": "run-a"}


@cache
def listing(double: AwsDouble) -> Aws:
    credentials = Credentials(access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    return Aws(endpoint_url=double.endpoint_url, region=REGION, credentials=credentials)


def client(double: AwsDouble, service: str) -> Any:
    return listing(double).client(service)


def names(double: AwsDouble, run_id: str = "run-a", prefix: str = PREFIX) -> list[str]:
    return [str(found) for found in remains(listing(double), run_id=run_id, prefix=prefix)]


def plant_bucket(double: AwsDouble) -> tuple[str, Callable[[], object]]:
    s3 = client(double, "s3")
    s3.create_bucket(Bucket=f"{PREFIX}-orphan")
    return f"s3-bucket {PREFIX}-orphan", lambda: s3.delete_bucket(Bucket=f"{PREFIX}-orphan")


def plant_tagged_bucket(double: AwsDouble) -> tuple[str, Callable[[], object]]:
    s3 = client(double, "s3")
    s3.create_bucket(Bucket="quite-another-name")
    s3.put_bucket_tagging(Bucket="quite-another-name", Tagging={"TagSet": [TAG]})
    return "s3-bucket quite-another-name", lambda: s3.delete_bucket(Bucket="quite-another-name")


def plant_network(double: AwsDouble) -> tuple[str, Callable[[], object]]:
    ec2 = client(double, "ec2")
    specification = [{"ResourceType": "vpc", "Tags": [TAG]}]
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16", TagSpecifications=specification)["Vpc"]["VpcId"]
    return f"vpc {vpc}", lambda: ec2.delete_vpc(VpcId=vpc)


def plant_role(double: AwsDouble) -> tuple[str, Callable[[], object]]:
    iam = client(double, "iam")
    iam.create_role(RoleName=f"{PREFIX}-node", AssumeRolePolicyDocument="{}")
    return f"iam-role {PREFIX}-node", lambda: iam.delete_role(RoleName=f"{PREFIX}-node")


def plant_cluster(double: AwsDouble) -> tuple[str, Callable[[], object]]:
    network = {"subnetIds": ["subnet-1", "subnet-2"]}
    role = "arn:aws:iam::000000000000:role/any"
    client(double, "eks").create_cluster(name=PREFIX, roleArn=role, resourcesVpcConfig=network)
    return f"eks-cluster {PREFIX}", lambda: listing(double).delete_clusters(prefix=PREFIX)


def plant_cost(double: AwsDouble) -> tuple[str, Callable[[], object]]:
    ec2 = client(double, "ec2")
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.create_tags(Resources=[address], Tags=[{"Key": "Name", "Value": f"{PREFIX}-nat"}])
    return f"elastic-ip {address}", lambda: ec2.release_address(AllocationId=address)


def plant_log_group(double: AwsDouble) -> tuple[str, Callable[[], object]]:
    logs = client(double, "logs")
    name = f"/aws/eks/{PREFIX}/cluster"
    logs.create_log_group(logGroupName=name)
    return f"log-group {name}", lambda: logs.delete_log_group(logGroupName=name)


def plant_key(double: AwsDouble) -> tuple[str, Callable[[], object]]:
    kms = client(double, "kms")
    key = kms.create_key(Tags=[{"TagKey": RUN_TAG, "TagValue": "run-a"}])["KeyMetadata"]["KeyId"]
    return f"kms-key {key}", lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def plant_zone(double: AwsDouble) -> tuple[str, Callable[[], object]]:
    route53 = client(double, "route53")
    made = route53.create_hosted_zone(Name=f"{PREFIX}.example", CallerReference="test")
    zone = made["HostedZone"]["Id"]
    return f"hosted-zone {zone.rpartition('/')[2]}", lambda: route53.delete_hosted_zone(Id=zone)


def plant_parameters(double: AwsDouble) -> tuple[str, Callable[[], object]]:
    rds = client(double, "rds")
    name = f"{PREFIX}-database"
    rds.create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily="postgres16", Description="test"
    )
    return f"db-parameter-group {name}", lambda: rds.delete_db_parameter_group(DBParameterGroupName=name)


PLANTS = [
    plant_bucket,
    plant_tagged_bucket,
    plant_network,
    plant_role,
    plant_cluster,
    plant_cost,
    plant_log_group,
    plant_key,
    plant_zone,
    plant_parameters,
]


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_orphan_of_each_kind_is_found_and_only_it(
    double: AwsDouble, plant: Callable[[AwsDouble], tuple[str, Callable[[], object]]]
) -> None:
    """The listing names exactly the orphan, and nothing once it is gone."""
    planted, remove = plant(double)
    assert names(double) == [planted]
    remove()
    assert names(double) == []


def test_the_whole_inventory_finds_an_orphan_with_neither_tag_nor_name(double: AwsDouble) -> None:
    """What bears no sign of the run is seen by comparing all that exists with all that existed."""
    before = inventory(listing(double))
    s3 = client(double, "s3")
    s3.create_bucket(Bucket="nobody-knows")
    found = set(inventory(listing(double))) - set(before)
    assert [str(one) for one in found] == ["s3-bucket nobody-knows"]
    assert names(double) == []
    s3.delete_bucket(Bucket="nobody-knows")
    assert inventory(listing(double)) == before


def test_another_runs_resources_are_not_listed(double: AwsDouble) -> None:
    """Two runs in one account do not see each other's resources, though one's name begins the other's."""
    s3 = client(double, "s3")
    s3.create_bucket(Bucket="ecochain-lab-run-b-storage")
    s3.create_bucket(Bucket="ecochain-lab-run-bc-storage")
    tags = {"TagSet": [{"Key": RUN_TAG, "Value": "run-b-2"}]}
    s3.create_bucket(Bucket="ecochain-lab-run-b-2-storage")
    s3.put_bucket_tagging(Bucket="ecochain-lab-run-b-2-storage", Tagging=tags)
    assert names(double) == []
    assert names(double, "run-b", "ecochain-lab-run-b") == ["s3-bucket ecochain-lab-run-b-storage"]
    for name in ("run-b", "run-bc", "run-b-2"):
        s3.delete_bucket(Bucket=f"ecochain-lab-{name}-storage")


def test_a_remainder_is_named_with_what_it_costs() -> None:
    """What is left says what it costs a day where that is known, and nothing where it is not."""
    gateway = Resource(kind="nat-gateway", identifier="nat-1", usd_per_day=1.08)
    assert gateway.priced == "nat-gateway nat-1 (1.08 USD a day)"
    assert Resource(kind="vpc", identifier="vpc-1", usd_per_day=0.0).priced == "vpc vpc-1"
    assert Resource(kind="s3-bucket", identifier="b", usd_per_day=None).priced == "s3-bucket b"


def test_every_class_that_ships_has_a_price() -> None:
    """What costs most by the hour is never left without what it costs."""
    text = "".join(file.read_text() for file in (checkout() / "terraform").rglob("*.tf"))
    classes = set(re.findall(r'"((?:db\.|cache\.)?[a-z]\d+[a-z]*\.(?:micro|small|medium|\d*x?large))"', text))
    assert {"db.t4g.micro", "cache.t4g.micro", "g4dn.xlarge", "t3.medium"} <= classes
    assert sorted(classes - CLASSES.keys()) == []


def test_every_resource_type_that_ships_is_listed_or_a_part_of_one_that_is() -> None:
    """A module cannot make what the search for remainders would not find."""
    files = (checkout() / "terraform").rglob("*.tf")
    types = {
        found
        for file in files
        for found in re.findall(r'^resource "(aws_\w+)"', file.read_text(), re.MULTILINE)
    }
    assert types
    assert sorted(found for found in types if found not in known_types() and not is_part(found)) == []


def test_a_listing_that_cannot_be_made_is_an_error_and_not_an_empty_one() -> None:
    """An account that does not answer is never taken for a clean one."""
    credentials = Credentials(access_key="x", secret_key="x")
    aws = Aws(endpoint_url="http://127.0.0.1:9", region=REGION, credentials=credentials)
    with pytest.raises(EnvironmentFailedError, match=r"listing http://127\.0\.0\.1:9 failed"):
        remains(aws, run_id="run-a", prefix=PREFIX)
