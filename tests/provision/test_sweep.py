"""What bears a run's tag and is in no state is deleted, and nothing else."""

from __future__ import annotations

import json

from account import Account

from clients.aws import RUN_TAG
from clients.aws_inventory import inventory
from clients.aws_sweep import delete_watched, sweep

ALLOWED = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [ALLOWED]})
TAG = {"Key": RUN_TAG, "Value": "run-s"}


def test_everything_with_the_runs_tag_goes_in_the_order_of_what_depends(account: Account) -> None:
    """A network with its parts, a bucket with objects, a role with policies, a log group, a key: all go."""
    ec2, s3, iam = (account.aws.client(name) for name in ("ec2", "s3", "iam"))

    def tagged(kind: str) -> list[dict[str, object]]:
        return [{"ResourceType": kind, "Tags": [TAG]}]

    vpc = ec2.create_vpc(CidrBlock="10.88.0.0/16", TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.88.0.0/24", TagSpecifications=tagged("subnet"))[
        "Subnet"
    ]["SubnetId"]
    gateway = ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway"))
    gateway_id = gateway["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=tagged("route-table"))
    ec2.associate_route_table(RouteTableId=table["RouteTable"]["RouteTableId"], SubnetId=subnet)
    ec2.create_security_group(
        GroupName="app", Description="app", VpcId=vpc, TagSpecifications=tagged("security-group")
    )
    s3.create_bucket(Bucket="run-s-storage")
    s3.put_bucket_tagging(Bucket="run-s-storage", Tagging={"TagSet": [TAG]})
    s3.put_bucket_versioning(Bucket="run-s-storage", VersioningConfiguration={"Status": "Enabled"})
    for text in (b"old", b"new"):
        s3.put_object(Bucket="run-s-storage", Key="picture", Body=text)
    iam.create_role(RoleName="run-s-node", AssumeRolePolicyDocument=DOCUMENT, Tags=[TAG])
    iam.put_role_policy(RoleName="run-s-node", PolicyName="inline", PolicyDocument=DOCUMENT)
    policy = iam.create_policy(PolicyName="run-s", PolicyDocument=DOCUMENT, Tags=[TAG])["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="run-s-node", PolicyArn=policy)
    account.aws.client("logs").create_log_group(logGroupName="/run-s", tags={RUN_TAG: "run-s"})
    key = account.aws.client("kms").create_key(Tags=[{"TagKey": RUN_TAG, "TagValue": "run-s"}])
    assert key["KeyMetadata"]["KeyId"]

    assert sweep(account.aws, run_id="run-other") == ([], [])
    gone, failures = sweep(account.aws, run_id="run-s")
    assert failures == []
    assert {one.kind for one in gone} == {
        "vpc",
        "subnet",
        "internet-gateway",
        "route-table",
        "security-group",
        "s3-bucket",
        "iam-role",
        "iam-policy",
        "log-group",
        "kms-key",
    }
    assert account.added() == []


def test_what_a_state_knows_is_left_to_who_has_the_state(account: Account) -> None:
    """Of two buckets with the run's tag only the one that nobody knows goes."""
    s3 = account.aws.client("s3")
    for name in ("run-k-known", "run-k-lost"):
        s3.create_bucket(Bucket=name)
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": RUN_TAG, "Value": "run-k"}]})
    gone, failures = sweep(account.aws, run_id="run-k", but=[("s3-bucket", "run-k-known")])
    assert ([one.identifier for one in gone], failures) == (["run-k-lost"], [])
    assert account.added() == ["s3-bucket run-k-known"]
    s3.delete_bucket(Bucket="run-k-known")


def test_a_name_alone_is_no_reason_to_delete(account: Account) -> None:
    """What is only called like the run may be somebody's: it is listed as left, not deleted."""
    s3 = account.aws.client("s3")
    s3.create_bucket(Bucket="ecochain-small-run-s-backup")
    assert sweep(account.aws, run_id="run-s") == ([], [])
    assert account.added() == ["s3-bucket ecochain-small-run-s-backup"]
    s3.delete_bucket(Bucket="ecochain-small-run-s-backup")


def test_what_a_provider_would_watch_goes_at_once(account: Account) -> None:
    """A distribution that is enabled and a cache are gone when it returns; what was absent is no error."""
    origin = {"Id": "s3", "DomainName": "b.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    behaviour = {
        "TargetOriginId": "s3",
        "ViewerProtocolPolicy": "https-only",
        "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",
    }
    made = account.aws.client("cloudfront").create_distribution(
        DistributionConfig={
            "CallerReference": "test",
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": behaviour,
        }
    )
    account.aws.client("elasticache").create_replication_group(
        ReplicationGroupId="eco", ReplicationGroupDescription="test", CacheNodeType="cache.t4g.micro"
    )
    account.aws.client("rds").create_db_instance(
        DBInstanceIdentifier="eco",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="eco",
        MasterUserPassword="not-a-secret",
    )
    known = [
        ("cloudfront-distribution", str(made["Distribution"]["Id"])),
        ("elasticache-replication-group", "eco"),
        ("db-instance", "eco"),
        ("db-instance", "nowhere"),
        ("cloudfront-distribution", "ENOSUCH"),
        ("vpc", "vpc-of-another"),
    ]
    there = {(one.kind, one.identifier) for one in inventory(account.aws)}
    assert set(known[:3]) <= there
    delete_watched(account.aws, known)
    assert account.added() == []
