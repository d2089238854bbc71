"""What is left of a run is found by tag and by name, and nothing else is taken for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from clients.aws import RUN_TAG, Aws
from core.errors import EnvironmentFailedError
from lab.aws_double import ACCESS_KEY, REGION, SECRET_KEY, AwsDouble

PREFIX = "ecochain-lab-run-a"
TAG = {"Key": RUN_TAG, "Value": "run-a"}


def client(double: AwsDouble, service: str) -> Any:
    session: Any = boto3.Session(
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=REGION
    )
    return session.client(service, endpoint_url=double.endpoint_url)


def listing(double: AwsDouble) -> Aws:
    return Aws(endpoint_url=double.endpoint_url, region=REGION, access_key=ACCESS_KEY, secret_key=SECRET_KEY)


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


@pytest.mark.parametrize(
    "plant", [plant_bucket, plant_tagged_bucket, plant_network, plant_role, plant_cluster]
)
def test_a_planted_orphan_of_each_kind_is_found_and_only_it(
    double: AwsDouble, plant: Callable[[AwsDouble], tuple[str, Callable[[], object]]]
) -> None:
    """The listing names exactly the orphan, and nothing once it is gone."""
    aws = listing(double)
    planted, remove = plant(double)
    assert aws.remains(run_id="run-a", prefix=PREFIX) == [planted]
    remove()
    assert aws.remains(run_id="run-a", prefix=PREFIX) == []


def test_another_runs_resources_are_not_listed(double: AwsDouble) -> None:
    """Two runs in one account do not see each other's resources."""
    s3 = client(double, "s3")
    s3.create_bucket(Bucket="ecochain-lab-run-b-storage")
    assert listing(double).remains(run_id="run-a", prefix=PREFIX) == []
    assert listing(double).remains(run_id="run-b", prefix="ecochain-lab-run-b") != []
    s3.delete_bucket(Bucket="ecochain-lab-run-b-storage")


def test_a_listing_that_cannot_be_made_is_an_error_and_not_an_empty_one() -> None:
    """An account that does not answer is never taken for a clean one."""
    aws = Aws(endpoint_url="http://127.0.0.1:9", region=REGION, access_key="x", secret_key="x")
    with pytest.raises(EnvironmentFailedError, match=r"listing http://127\.0\.0\.1:9 failed"):
        aws.remains(run_id="run-a", prefix=PREFIX)
