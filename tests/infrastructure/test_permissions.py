"""The policies of terraform/global/iam, on a double that enforces them: enough for the work, and not more."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from applied import apply_root

from clients.aws import Aws, Credentials
from core.places import checkout
from lab import aws_double
from lab.aws_double import ACCESS_KEY, REGION, SECRET_KEY, AwsDouble

sys.path.append(str(checkout() / "tests/provision"))

from fault_proxy import FaultProxy

pytestmark = pytest.mark.long

POLICY_MAX = 6144
TRUST = '{"Version": "2012-10-17", "Statement": []}'


@dataclass(frozen=True, kw_only=True)
class Account:
    """The double's account with the global policies in it, seen as its root."""

    double: AwsDouble
    policies: dict[str, str]

    def aws(self, keys: tuple[str, str] = (ACCESS_KEY, SECRET_KEY)) -> Aws:
        """Return the account, opened by these keys."""
        credentials = Credentials(access_key=keys[0], secret_key=keys[1])
        return Aws(credentials=credentials, region=REGION, endpoint_url=self.double.endpoint_url)

    def user(self, *policies: str) -> tuple[str, str]:
        """Make another user with these policies alone; return its keys."""
        iam = self.aws().client("iam")
        name = f"{'-'.join(policies)}-{len(iam.list_users()['Users'])}"
        iam.create_user(UserName=name)
        for policy in policies:
            iam.attach_user_policy(UserName=name, PolicyArn=self.policies[policy])
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """Give an account with terraform/global/iam applied to it, which enforces policies."""
    with tempfile.TemporaryDirectory(prefix="evi-") as made:
        folder = Path(made)
        double = aws_double.start(folder / "double", record=lambda _line: None, enforce=True)
        try:
            given = {"repository": "ecochain/platform", "region": REGION}
            policies = apply_root(double, folder, "global/iam", given).outputs()["policy_arns"]
            yield Account(double=double, policies=policies)
        finally:
            double.stop()


def tagged(kind: str, environment: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Environment", "Value": environment}]}]


def refused(act: Callable[[], object]) -> bool:
    """Tell whether IAM refuses the act; any other error is the test's."""
    try:
        act()
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in {
            "AccessDenied",
            "UnauthorizedOperation",
            "AccessDeniedException",
        }:
            return True
        raise
    return False


def test_the_harness_changes_what_is_ephemeral_and_nothing_else(account: Account) -> None:
    """Its keys make and remove ephemeral things, and neither touch others nor read secrets or make users."""
    root, verify = account.aws(), account.aws(account.user("verify", "read"))
    ec2, s3, iam = (verify.client(name) for name in ("ec2", "s3", "iam"))
    s3.create_bucket(Bucket="ecochain-ephemeral-run-storage")
    iam.create_role(RoleName="ecochain-ephemeral-run-node", AssumeRolePolicyDocument=TRUST)
    others = root.client("ec2").create_vpc(
        CidrBlock="10.9.0.0/16", TagSpecifications=tagged("vpc", "production")
    )
    other = others["Vpc"]["VpcId"]
    root.client("s3").create_bucket(Bucket="ecochain-production-storage")
    secret = root.client("secretsmanager").create_secret(Name="ecochain", SecretString="x")["ARN"]
    acts: dict[str, Callable[[], object]] = {
        "an untagged VPC": lambda: ec2.create_vpc(CidrBlock="10.7.0.0/16"),
        "a VPC that says production": lambda: ec2.create_vpc(
            CidrBlock="10.7.0.0/16", TagSpecifications=tagged("vpc", "production")
        ),
        "deleting production's VPC": lambda: ec2.delete_vpc(VpcId=other),
        "taking production's tag": lambda: ec2.create_tags(
            Resources=[other], Tags=[{"Key": "Environment", "Value": "ephemeral"}]
        ),
        "deleting production's bucket": lambda: s3.delete_bucket(Bucket="ecochain-production-storage"),
        "a secret": lambda: verify.client("secretsmanager").get_secret_value(SecretId=secret),
        "a user": lambda: iam.create_user(UserName="mine"),
        "a role beyond its names": lambda: iam.create_role(RoleName="admin", AssumeRolePolicyDocument=TRUST),
        "its own policy": lambda: iam.create_policy_version(
            PolicyArn=account.policies["verify"], PolicyDocument=TRUST, SetAsDefault=True
        ),
    }
    assert [name for name, act in acts.items() if not refused(act)] == []
    s3.delete_bucket(Bucket="ecochain-ephemeral-run-storage")
    iam.delete_role(RoleName="ecochain-ephemeral-run-node")
    assert other in {one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]}


def test_who_plans_changes_nothing(account: Account) -> None:
    """The keys of plan and drift describe everything and change nothing."""
    plan = account.aws(account.user("read", "state"))
    plan.client("ec2").describe_vpcs()
    plan.client("eks").list_clusters()
    acts: dict[str, Callable[[], object]] = {
        "a VPC": lambda: plan.client("ec2").create_vpc(
            CidrBlock="10.7.0.0/16", TagSpecifications=tagged("vpc", "ephemeral")
        ),
        "a bucket": lambda: plan.client("s3").create_bucket(Bucket="ecochain-ephemeral-storage"),
        "a user": lambda: plan.client("iam").create_user(UserName="mine"),
    }
    assert [name for name, act in acts.items() if not refused(act)] == []


def test_policies_fit_into_iam(account: Account) -> None:
    """IAM takes managed policies of up to 6,144 characters, which a double does not count."""
    iam, sizes = account.aws().client("iam"), {}
    for name, arn in account.policies.items():
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        sizes[name] = len(json.dumps(document, separators=(",", ":")))
    assert {name: size for name, size in sizes.items() if size > POLICY_MAX} == {}


def test_the_harness_may_do_all_that_an_ephemeral_bucket_takes(account: Account, folder: Path) -> None:
    """With its own keys alone the real provider applies and destroys an ephemeral environment's storage.

    The double knows no tags of EC2's requests, so the network cannot be tried with these policies. The
    bucket's own policy turns away whoever comes without TLS, the provider too; so it comes through a proxy
    that says that it has ended one.
    """
    keys = account.user("verify", "read")
    given = {
        "run_id": "run-p",
        "expires_at": "2030-01-01T00:00:00Z",
        "region": REGION,
        "modules": ["s3"],
    }
    place = folder / "own"
    place.mkdir()
    bucket = "ecochain-ephemeral-run-p-storage"
    with FaultProxy(account.double.endpoint_url, added={"X-Forwarded-Proto": "https"}).running() as tls:
        double = replace(account.double, endpoint_url=tls.url)
        made = apply_root(double, place, "environments/ephemeral", given, keys)
        assert made.outputs()["name"] == "ecochain-ephemeral-run-p"
        assert refused(lambda: account.aws(keys).client("s3").get_bucket_policy(Bucket=bucket))
        made.destroy(timeout_s=300)
    assert bucket not in {one["Name"] for one in account.aws().client("s3").list_buckets()["Buckets"]}
