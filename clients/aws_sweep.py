"""Deleting what a run made and no Terraform state knows, since Terraform was killed or cut off meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import botocore.exceptions

from clients.aws import RUN_TAG, Aws
from clients.aws_inventory import Resource, inventory
from core.errors import EnvironmentFailedError

# Each pass deletes what nothing depends on any more.
_PASSES = 4

Delete = Callable[[Aws, str], None]


def sweep(
    aws: Aws, *, run_id: str, but: Collection[tuple[str, str]] = ()
) -> tuple[list[Resource], list[str]]:
    """Delete what bears the run's tag, of kinds that a call can delete; return it, and what failed.

    A name alone is no reason: only the tag says for certain whose it is. What other kinds are left stays and
    is listed by who looks next, and so does what `but` has (kind, identifier). Raises EnvironmentFailedError
    if the account cannot be listed.
    """

    def swept(one: Resource) -> bool:
        ours = one.tags.get(RUN_TAG) == run_id and one.kind in _DELETE
        return ours and (one.kind, one.identifier) not in but

    gone: dict[str, Resource] = {}
    failures: dict[str, str] = {}
    for _ in range(_PASSES):
        found = [one for one in inventory(aws) if swept(one)]
        if not found:
            break
        failures = {}
        for resource in sorted(found, key=lambda one: _ORDER.index(one.kind)):
            try:
                _DELETE[resource.kind](aws, resource.identifier)
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                failures[str(resource)] = f"{resource}: {error}"
            else:
                gone[str(resource)] = resource
    return list(gone.values()), sorted(failures.values())


def delete_watched(aws: Aws, known: Iterable[tuple[str, str]]) -> None:
    """Delete the distributions, caches and databases among these (kind, identifier): on a double at once.

    Terraform's provider watches each for 30 to 60 s before it believes that it has gone. What is absent
    already is passed over. Raises EnvironmentFailedError.
    """
    for kind, identifier in known:
        if kind in _WATCHED:
            try:
                _WATCHED[kind](aws, identifier)
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                if "NotFound" not in str(error) and "NoSuch" not in str(error):
                    raise EnvironmentFailedError(f"deleting {kind} {identifier}: {error}") from error


def _distribution(aws: Aws, identifier: str) -> None:
    cloudfront = aws.client("cloudfront")
    found = cloudfront.get_distribution_config(Id=identifier)
    disabled = {**found["DistributionConfig"], "Enabled": False}
    told = cloudfront.update_distribution(Id=identifier, IfMatch=found["ETag"], DistributionConfig=disabled)
    cloudfront.delete_distribution(Id=identifier, IfMatch=told["ETag"])


def _ec2(call: str, argument: str) -> Delete:
    def delete(aws: Aws, identifier: str) -> None:
        getattr(aws.client("ec2"), call)(**{argument: identifier})

    return delete


def _internet_gateway(aws: Aws, identifier: str) -> None:
    ec2 = aws.client("ec2")
    [found] = ec2.describe_internet_gateways(InternetGatewayIds=[identifier])["InternetGateways"]
    for attached in found.get("Attachments") or ():
        ec2.detach_internet_gateway(InternetGatewayId=identifier, VpcId=attached["VpcId"])
    ec2.delete_internet_gateway(InternetGatewayId=identifier)


def _route_table(aws: Aws, identifier: str) -> None:
    ec2 = aws.client("ec2")
    [found] = ec2.describe_route_tables(RouteTableIds=[identifier])["RouteTables"]
    for used in found.get("Associations") or ():
        if not used.get("Main"):
            ec2.disassociate_route_table(AssociationId=used["RouteTableAssociationId"])
    ec2.delete_route_table(RouteTableId=identifier)


def _node_group(aws: Aws, identifier: str) -> None:
    cluster, _, group = identifier.partition(":")
    aws.client("eks").delete_nodegroup(clusterName=cluster, nodegroupName=group)


def _cluster(aws: Aws, identifier: str) -> None:
    aws.client("eks").delete_cluster(name=identifier)


def _bucket(aws: Aws, identifier: str) -> None:
    s3 = aws.client("s3")
    for kind in ("Versions", "DeleteMarkers"):
        for one in aws.pages(s3, "list_object_versions", kind, Bucket=identifier):
            s3.delete_object(Bucket=identifier, Key=one["Key"], VersionId=one["VersionId"])
    for one in aws.pages(s3, "list_objects_v2", "Contents", Bucket=identifier):
        s3.delete_object(Bucket=identifier, Key=one["Key"])
    s3.delete_bucket(Bucket=identifier)


def _role(aws: Aws, identifier: str) -> None:
    iam = aws.client("iam")
    for one in aws.pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=identifier):
        iam.detach_role_policy(RoleName=identifier, PolicyArn=one["PolicyArn"])
    for name in aws.pages(iam, "list_role_policies", "PolicyNames", RoleName=identifier):
        iam.delete_role_policy(RoleName=identifier, PolicyName=name)
    iam.delete_role(RoleName=identifier)


def _policy(aws: Aws, identifier: str) -> None:
    aws.client("iam").delete_policy(PolicyArn=identifier)


def _oidc_provider(aws: Aws, identifier: str) -> None:
    aws.client("iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=identifier)


def _database(aws: Aws, identifier: str) -> None:
    aws.client("rds").delete_db_instance(
        DBInstanceIdentifier=identifier, SkipFinalSnapshot=True, DeleteAutomatedBackups=True
    )


def _replication_group(aws: Aws, identifier: str) -> None:
    aws.client("elasticache").delete_replication_group(ReplicationGroupId=identifier)


def _log_group(aws: Aws, identifier: str) -> None:
    aws.client("logs").delete_log_group(logGroupName=identifier)


def _key(aws: Aws, identifier: str) -> None:
    aws.client("kms").schedule_key_deletion(KeyId=identifier, PendingWindowInDays=7)


# In this order: what others depend on comes after them.
_DELETE: Mapping[str, Delete] = {
    "eks-node-group": _node_group,
    "eks-cluster": _cluster,
    "db-instance": _database,
    "elasticache-replication-group": _replication_group,
    "nat-gateway": _ec2("delete_nat_gateway", "NatGatewayId"),
    "elastic-ip": _ec2("release_address", "AllocationId"),
    "network-interface": _ec2("delete_network_interface", "NetworkInterfaceId"),
    "launch-template": _ec2("delete_launch_template", "LaunchTemplateId"),
    "internet-gateway": _internet_gateway,
    "route-table": _route_table,
    "subnet": _ec2("delete_subnet", "SubnetId"),
    "security-group": _ec2("delete_security_group", "GroupId"),
    "vpc": _ec2("delete_vpc", "VpcId"),
    "s3-bucket": _bucket,
    "iam-role": _role,
    "iam-policy": _policy,
    "oidc-provider": _oidc_provider,
    "log-group": _log_group,
    "kms-key": _key,
}
_ORDER: list[Any] = list(_DELETE)
_WATCHED: Mapping[str, Delete] = {
    "cloudfront-distribution": _distribution,
    "db-instance": _database,
    "elasticache-replication-group": _replication_group,
}
