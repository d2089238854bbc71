"""AWS seen without Terraform: what exists of a run, by its tag or its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import boto3
import botocore.exceptions
from botocore.config import Config

from core.errors import EnvironmentFailedError

RUN_TAG = "ecochain.dev/run"

# What boto3 calls, the list in its answer, and the identifier of one entry.
_EC2_KINDS = {
    "vpc": ("describe_vpcs", "Vpcs", "VpcId"),
    "subnet": ("describe_subnets", "Subnets", "SubnetId"),
    "internet-gateway": ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    "route-table": ("describe_route_tables", "RouteTables", "RouteTableId"),
    "security-group": ("describe_security_groups", "SecurityGroups", "GroupId"),
    "network-interface": ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
}


class Aws:
    """One account and region, or their double, read through boto3 and not through Terraform."""

    def __init__(self, *, endpoint_url: str, region: str, access_key: str, secret_key: str) -> None:
        self._session = boto3.Session(
            aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=region
        )
        self._endpoint_url = endpoint_url
        self._config = Config(
            connect_timeout=2,
            read_timeout=10,
            retries={"total_max_attempts": 2},
            s3={"addressing_style": "path"},
            proxies={},
        )

    def remains(self, *, run_id: str, prefix: str) -> list[str]:
        """Return what carries the run's tag or has a name that starts with `prefix`, each as "kind name".

        Looked at: the VPC and its parts, EKS clusters and node groups, S3 buckets, IAM roles and policies.
        Raises EnvironmentFailedError if a listing fails: what cannot be listed is not known to be gone.
        """
        try:
            return [
                *self._network(run_id, prefix),
                *self._clusters(run_id, prefix),
                *self._buckets(run_id, prefix),
                *self._identities(run_id, prefix),
            ]
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise EnvironmentFailedError(f"listing {self._endpoint_url} failed: {error}") from error

    def delete_clusters(self, *, prefix: str) -> list[str]:
        """Delete the EKS clusters whose names start with `prefix`, with their node groups; return the names.

        Only for a double, where a deletion is done at once. Raises EnvironmentFailedError.
        """
        eks = self._client("eks")
        try:
            names = [name for name in _pages(eks, "list_clusters", "clusters") if name.startswith(prefix)]
            for name in names:
                for group in _pages(eks, "list_nodegroups", "nodegroups", clusterName=name):
                    eks.delete_nodegroup(clusterName=name, nodegroupName=group)
                eks.delete_cluster(name=name)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise EnvironmentFailedError(f"deleting EKS clusters {prefix}*: {error}") from error
        return names

    def _client(self, service: str) -> Any:
        # Only three services have stubs here, so every client is untyped alike.
        session: Any = self._session
        return session.client(service, endpoint_url=self._endpoint_url, config=self._config)

    def _network(self, run_id: str, prefix: str) -> list[str]:
        ec2 = self._client("ec2")
        found = []
        for kind, (call, key, identifier) in _EC2_KINDS.items():
            for entry in _pages(ec2, call, key):
                tags = _tags(entry.get("Tags") or entry.get("TagSet") or ())
                if tags.get(RUN_TAG) == run_id or tags.get("Name", "").startswith(prefix):
                    found.append(f"{kind} {entry[identifier]}")
        return found

    def _clusters(self, run_id: str, prefix: str) -> list[str]:
        eks = self._client("eks")
        found = []
        for name in _pages(eks, "list_clusters", "clusters"):
            tags = eks.describe_cluster(name=name)["cluster"].get("tags") or {}
            if name.startswith(prefix) or tags.get(RUN_TAG) == run_id:
                found.append(f"eks-cluster {name}")
                groups = _pages(eks, "list_nodegroups", "nodegroups", clusterName=name)
                found.extend(f"eks-node-group {name}/{group}" for group in groups)
        return found

    def _buckets(self, run_id: str, prefix: str) -> list[str]:
        s3 = self._client("s3")
        found = []
        for bucket in s3.list_buckets()["Buckets"]:
            name = bucket["Name"]
            if name.startswith(prefix) or self._bucket_tags(s3, name).get(RUN_TAG) == run_id:
                found.append(f"s3-bucket {name}")
        return found

    def _bucket_tags(self, s3: Any, name: str) -> dict[str, str]:
        try:
            return _tags(s3.get_bucket_tagging(Bucket=name)["TagSet"])
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchTagSet", "NoSuchBucket"}:
                return {}
            raise

    def _identities(self, run_id: str, prefix: str) -> list[str]:
        iam = self._client("iam")
        found = []
        for role in _pages(iam, "list_roles", "Roles"):
            name = role["RoleName"]
            if name.startswith(prefix) or self._has_run_tag(iam.list_role_tags(RoleName=name), run_id):
                found.append(f"iam-role {name}")
        for policy in _pages(iam, "list_policies", "Policies", Scope="Local"):
            name = policy["PolicyName"]
            tags = iam.list_policy_tags(PolicyArn=policy["Arn"])
            if name.startswith(prefix) or self._has_run_tag(tags, run_id):
                found.append(f"iam-policy {name}")
        return found

    @staticmethod
    def _has_run_tag(answer: Mapping[str, Any], run_id: str) -> bool:
        return _tags(answer["Tags"]).get(RUN_TAG) == run_id


def _tags(entries: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {entry["Key"]: entry["Value"] for entry in entries}


def _pages(client: Any, call: str, key: str, **arguments: str) -> list[Any]:
    return [entry for page in client.get_paginator(call).paginate(**arguments) for entry in page[key]]
