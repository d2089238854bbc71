"""The kinds of AWS resource that an environment can leave behind."""

from __future__ import annotations

from typing import Any

from clients import aws_prices as prices
from clients.aws_kind import GONE, Kind, asked, inline, no_tags, not_in, tags_of
from clients.aws_kinds_data import DATA, EDGE, KEYS_AND_LOGS


def _ec2(name: str, call: str, entries: str, identifier: str, **more: Any) -> Kind:
    terraform = more.pop("terraform", f"aws_{name.replace('-', '_')}")
    return Kind(
        name=name,
        service="ec2",
        call=call,
        entries=entries,
        identifier=identifier,
        terraform=terraform,
        **more,
    )


_NETWORK = (
    _ec2("vpc", "describe_vpcs", "Vpcs", "VpcId"),
    _ec2("subnet", "describe_subnets", "Subnets", "SubnetId"),
    _ec2("internet-gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    _ec2(
        "egress-only-internet-gateway",
        "describe_egress_only_internet_gateways",
        "EgressOnlyInternetGateways",
        "EgressOnlyInternetGatewayId",
    ),
    _ec2(
        "nat-gateway",
        "describe_nat_gateways",
        "NatGateways",
        "NatGatewayId",
        exists=not_in("State"),
        usd_per_day=prices.flat(prices.NAT_GATEWAY),
    ),
    _ec2(
        "elastic-ip",
        "describe_addresses",
        "Addresses",
        "AllocationId",
        terraform="aws_eip",
        usd_per_day=prices.flat(prices.PUBLIC_ADDRESS),
    ),
    _ec2(
        "route-table",
        "describe_route_tables",
        "RouteTables",
        "RouteTableId",
        implied=lambda entry: any(one.get("Main") for one in entry.get("Associations") or ()),
    ),
    _ec2(
        "security-group",
        "describe_security_groups",
        "SecurityGroups",
        "GroupId",
        names=("GroupName", "Description"),
        implied=lambda entry: (
            entry["GroupName"] == "default" or entry["GroupName"].startswith("eks-cluster-sg-")
        ),
    ),
    _ec2(
        "network-acl",
        "describe_network_acls",
        "NetworkAcls",
        "NetworkAclId",
        implied=lambda entry: bool(entry.get("IsDefault")),
    ),
    _ec2(
        "network-interface",
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceId",
        names=("Description",),
        tags=inline("TagSet"),
        implied=lambda entry: bool(entry.get("RequesterManaged")) or bool(entry.get("Attachment")),
    ),
    _ec2(
        "vpc-endpoint",
        "describe_vpc_endpoints",
        "VpcEndpoints",
        "VpcEndpointId",
        exists=not_in("State"),
        usd_per_day=lambda entry: (
            0.0 if entry.get("VpcEndpointType") == "Gateway" else prices.VPC_ENDPOINT * 24
        ),
    ),
    _ec2(
        "vpc-peering-connection",
        "describe_vpc_peering_connections",
        "VpcPeeringConnections",
        "VpcPeeringConnectionId",
        exists=lambda _client, entry: (entry.get("Status") or {}).get("Code") not in GONE,
    ),
    _ec2("flow-log", "describe_flow_logs", "FlowLogs", "FlowLogId", names=("LogGroupName",)),
)
_COMPUTE = (
    _ec2(
        "instance",
        "describe_instances",
        "Reservations.Instances",
        "InstanceId",
        exists=not_in("State"),
        implied=lambda entry: "eks:nodegroup-name" in tags_of(entry.get("Tags") or ()),
        usd_per_day=prices.by_class("InstanceType"),
    ),
    _ec2(
        "volume",
        "describe_volumes",
        "Volumes",
        "VolumeId",
        terraform="aws_ebs_volume",
        implied=lambda entry: bool(entry.get("Attachments")),
        usd_per_day=lambda entry: prices.VOLUME_GIB_MONTH * float(entry.get("Size") or 0) / prices.MONTH_DAYS,
    ),
    _ec2(
        "snapshot",
        "describe_snapshots",
        "Snapshots",
        "SnapshotId",
        terraform="aws_ebs_snapshot",
        arguments={"OwnerIds": ["self"]},
        names=("Description",),
        usd_per_day=prices.unknown,
    ),
    _ec2(
        "launch-template",
        "describe_launch_templates",
        "LaunchTemplates",
        "LaunchTemplateId",
        names=("LaunchTemplateName",),
        implied=lambda entry: str(entry.get("LaunchTemplateName")).startswith("eks-"),
    ),
    _ec2("key-pair", "describe_key_pairs", "KeyPairs", "KeyName"),
    Kind(
        name="auto-scaling-group",
        service="autoscaling",
        call="describe_auto_scaling_groups",
        entries="AutoScalingGroups",
        identifier="AutoScalingGroupName",
        terraform="aws_autoscaling_group",
        implied=lambda entry: str(entry["AutoScalingGroupName"]).startswith("eks-"),
    ),
    Kind(
        name="load-balancer",
        service="elbv2",
        call="describe_load_balancers",
        entries="LoadBalancers",
        identifier="LoadBalancerArn",
        terraform="aws_lb",
        names=("LoadBalancerName",),
        tags=no_tags,
        usd_per_day=prices.flat(prices.LOAD_BALANCER),
    ),
    Kind(
        name="target-group",
        service="elbv2",
        call="describe_target_groups",
        entries="TargetGroups",
        identifier="TargetGroupArn",
        terraform="aws_lb_target_group",
        names=("TargetGroupName",),
        tags=no_tags,
    ),
)
_IDENTITIES = (
    Kind(
        name="iam-role",
        service="iam",
        call="list_roles",
        entries="Roles",
        identifier="RoleName",
        terraform="aws_iam_role",
        tags=asked("list_role_tags", "RoleName", "RoleName", "Tags"),
        implied=lambda entry: str(entry.get("Path", "")).startswith("/aws-service-role/"),
    ),
    Kind(
        name="iam-policy",
        service="iam",
        call="list_policies",
        entries="Policies",
        identifier="Arn",
        terraform="aws_iam_policy",
        arguments={"Scope": "Local"},
        names=("PolicyName",),
        tags=asked("list_policy_tags", "PolicyArn", "Arn", "Tags"),
    ),
    Kind(
        name="oidc-provider",
        service="iam",
        call="list_open_id_connect_providers",
        entries="OpenIDConnectProviderList",
        identifier="Arn",
        terraform="aws_iam_openid_connect_provider",
        tags=asked("get_open_id_connect_provider", "OpenIDConnectProviderArn", "Arn", "Tags"),
    ),
    Kind(
        name="instance-profile",
        service="iam",
        call="list_instance_profiles",
        entries="InstanceProfiles",
        identifier="InstanceProfileName",
        terraform="aws_iam_instance_profile",
        implied=lambda entry: str(entry["InstanceProfileName"]).startswith("eks-"),
    ),
    Kind(
        name="iam-user",
        service="iam",
        call="list_users",
        entries="Users",
        identifier="UserName",
        terraform="aws_iam_user",
        tags=asked("list_user_tags", "UserName", "UserName", "Tags"),
    ),
    Kind(
        name="iam-group",
        service="iam",
        call="list_groups",
        entries="Groups",
        identifier="GroupName",
        terraform="aws_iam_group",
    ),
)


# EKS is listed cluster by cluster: see `clients.aws_inventory`.
EKS_KINDS = {
    "aws_eks_cluster": "eks-cluster",
    "aws_eks_node_group": "eks-node-group",
    "aws_eks_addon": "eks-addon",
}
KINDS: tuple[Kind, ...] = (*_NETWORK, *_COMPUTE, *_IDENTITIES, *DATA, *EDGE, *KEYS_AND_LOGS)

# What exists only as a part of a listed resource and goes with it, or only in Terraform's state.
PARTS = (
    "aws_db_option_group",
    "aws_default_network_acl",
    "aws_default_route_table",
    "aws_default_security_group",
    "aws_eks_access_entry",
    "aws_eks_access_policy_association",
    "aws_eks_pod_identity_association",
    "aws_eip_association",
    "aws_iam_group_policy_attachment",
    "aws_iam_role_policy",
    "aws_iam_role_policies_exclusive",
    "aws_iam_role_policy_attachment",
    "aws_iam_role_policy_attachments_exclusive",
    "aws_iam_user_policy_attachment",
    "aws_kms_key_policy",
    "aws_lb_listener",
    "aws_main_route_table_association",
    "aws_network_acl_rule",
    "aws_route",
    "aws_route53_record",
    "aws_route_table_association",
    "aws_acm_certificate_validation",
    "aws_secretsmanager_secret_version",
    "aws_security_group_rule",
    "aws_vpc_endpoint_route_table_association",
    "aws_vpc_peering_connection_accepter",
    "aws_vpc_security_group_egress_rule",
    "aws_vpc_security_group_ingress_rule",
)
# Every resource whose type begins so is a part of a bucket.
PART_PREFIXES = ("aws_s3_bucket_", "aws_s3_object")
