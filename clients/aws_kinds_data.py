"""The kinds of AWS resource that hold data, serve the edge, or keep keys and logs."""

from __future__ import annotations

from typing import Any

from clients import aws_prices as prices
from clients.aws_kind import Kind, asked, inline, key_kept, key_tags, no_tags, zone_tags


def _rds(name: str, call: str, entries: str, identifier: str, terraform: str, **more: Any) -> Kind:
    more.setdefault("tags", inline("TagList"))
    return Kind(
        name=name,
        service="rds",
        call=call,
        entries=entries,
        identifier=identifier,
        terraform=terraform,
        **more,
    )


_RDS_TAGS = "list_tags_for_resource", "ResourceName"


def _cache(name: str, call: str, entries: str, identifier: str, terraform: str, **more: Any) -> Kind:
    return Kind(
        name=f"elasticache-{name}",
        service="elasticache",
        call=call,
        entries=entries,
        identifier=identifier,
        terraform=f"aws_elasticache_{terraform}",
        tags=asked("list_tags_for_resource", "ResourceName", "ARN", "TagList"),
        **more,
    )


DATA = (
    _rds(
        "db-instance",
        "describe_db_instances",
        "DBInstances",
        "DBInstanceIdentifier",
        "aws_db_instance",
        attribute="identifier",
        usd_per_day=prices.database,
    ),
    _rds(
        "db-cluster",
        "describe_db_clusters",
        "DBClusters",
        "DBClusterIdentifier",
        "aws_rds_cluster",
        usd_per_day=prices.unknown,
    ),
    _rds(
        "db-snapshot",
        "describe_db_snapshots",
        "DBSnapshots",
        "DBSnapshotIdentifier",
        "aws_db_snapshot",
        names=("DBInstanceIdentifier",),
        implied=lambda entry: entry.get("SnapshotType") == "automated",
        usd_per_day=prices.unknown,
    ),
    _rds(
        "db-subnet-group",
        "describe_db_subnet_groups",
        "DBSubnetGroups",
        "DBSubnetGroupName",
        "aws_db_subnet_group",
        tags=asked(*_RDS_TAGS, "DBSubnetGroupArn", "TagList"),
    ),
    _rds(
        "db-parameter-group",
        "describe_db_parameter_groups",
        "DBParameterGroups",
        "DBParameterGroupName",
        "aws_db_parameter_group",
        tags=asked(*_RDS_TAGS, "DBParameterGroupArn", "TagList"),
        implied=lambda entry: str(entry["DBParameterGroupName"]).startswith("default."),
    ),
    _cache(
        "replication-group",
        "describe_replication_groups",
        "ReplicationGroups",
        "ReplicationGroupId",
        "replication_group",
        usd_per_day=prices.replication_group,
    ),
    _cache(
        "cluster",
        "describe_cache_clusters",
        "CacheClusters",
        "CacheClusterId",
        "cluster",
        implied=lambda entry: bool(entry.get("ReplicationGroupId")),
        usd_per_day=lambda entry: (
            0.0 if entry.get("ReplicationGroupId") else prices.by_class("CacheNodeType")(entry)
        ),
    ),
    _cache(
        "subnet-group",
        "describe_cache_subnet_groups",
        "CacheSubnetGroups",
        "CacheSubnetGroupName",
        "subnet_group",
    ),
    _cache(
        "parameter-group",
        "describe_cache_parameter_groups",
        "CacheParameterGroups",
        "CacheParameterGroupName",
        "parameter_group",
        implied=lambda entry: str(entry["CacheParameterGroupName"]).startswith("default."),
    ),
    Kind(
        name="s3-bucket",
        service="s3",
        call="list_buckets",
        entries="Buckets",
        identifier="Name",
        terraform="aws_s3_bucket",
        tags=asked("get_bucket_tagging", "Bucket", "Name", "TagSet"),
        usd_per_day=prices.unknown,
    ),
    Kind(
        name="dynamodb-table",
        service="dynamodb",
        call="list_tables",
        entries="TableNames",
        identifier="",
        terraform="aws_dynamodb_table",
        tags=no_tags,
        usd_per_day=prices.unknown,
    ),
    Kind(
        name="secret",
        service="secretsmanager",
        call="list_secrets",
        entries="SecretList",
        identifier="ARN",
        terraform="aws_secretsmanager_secret",
        names=("Name",),
        usd_per_day=prices.monthly(prices.SECRET_MONTH),
    ),
)
EDGE = (
    Kind(
        name="cloudfront-distribution",
        service="cloudfront",
        call="list_distributions",
        entries="DistributionList.Items",
        identifier="Id",
        terraform="aws_cloudfront_distribution",
        names=("Comment",),
        tags=asked("list_tags_for_resource", "Resource", "ARN", "Tags.Items"),
        usd_per_day=prices.unknown,
    ),
    Kind(
        name="cloudfront-origin-access-control",
        service="cloudfront",
        call="list_origin_access_controls",
        entries="OriginAccessControlList.Items",
        identifier="Id",
        terraform="aws_cloudfront_origin_access_control",
        names=("Name",),
    ),
    Kind(
        name="cloudfront-response-headers-policy",
        service="cloudfront",
        call="list_response_headers_policies",
        entries="ResponseHeadersPolicyList.Items.ResponseHeadersPolicy",
        identifier="Id",
        arguments={"Type": "custom"},
        terraform="aws_cloudfront_response_headers_policy",
        names=("ResponseHeadersPolicyConfig.Name",),
    ),
    Kind(
        name="cloudfront-cache-policy",
        service="cloudfront",
        call="list_cache_policies",
        entries="CachePolicyList.Items.CachePolicy",
        identifier="Id",
        arguments={"Type": "custom"},
        terraform="aws_cloudfront_cache_policy",
        names=("CachePolicyConfig.Name",),
    ),
    Kind(
        name="hosted-zone",
        service="route53",
        call="list_hosted_zones",
        entries="HostedZones",
        identifier="Id",
        terraform="aws_route53_zone",
        attribute="zone_id",
        names=("Name", "Config.Comment"),
        tags=zone_tags,
        usd_per_day=prices.monthly(prices.HOSTED_ZONE_MONTH),
    ),
    Kind(
        name="health-check",
        service="route53",
        call="list_health_checks",
        entries="HealthChecks",
        identifier="Id",
        terraform="aws_route53_health_check",
        names=("CallerReference",),
        usd_per_day=prices.unknown,
    ),
    Kind(
        name="certificate",
        service="acm",
        call="list_certificates",
        entries="CertificateSummaryList",
        identifier="CertificateArn",
        terraform="aws_acm_certificate",
        names=("DomainName",),
        tags=asked("list_tags_for_certificate", "CertificateArn", "CertificateArn", "Tags"),
    ),
)
KEYS_AND_LOGS = (
    Kind(
        name="kms-key",
        service="kms",
        call="list_keys",
        entries="Keys",
        identifier="KeyId",
        terraform="aws_kms_key",
        attribute="key_id",
        tags=key_tags,
        exists=key_kept,
        usd_per_day=prices.monthly(prices.KEY_MONTH),
    ),
    Kind(
        name="kms-alias",
        service="kms",
        call="list_aliases",
        entries="Aliases",
        identifier="AliasName",
        terraform="aws_kms_alias",
        attribute="name",
        exists=lambda _client, entry: not str(entry["AliasName"]).startswith("alias/aws/"),
    ),
    Kind(
        name="log-group",
        service="logs",
        call="describe_log_groups",
        entries="logGroups",
        identifier="logGroupName",
        terraform="aws_cloudwatch_log_group",
        attribute="name",
        tags=asked("list_tags_log_group", "logGroupName", "logGroupName", "tags"),
        usd_per_day=prices.unknown,
    ),
    Kind(
        name="alarm",
        service="cloudwatch",
        call="describe_alarms",
        entries="MetricAlarms",
        identifier="AlarmName",
        terraform="aws_cloudwatch_metric_alarm",
        tags=asked("list_tags_for_resource", "ResourceARN", "AlarmArn", "Tags"),
        usd_per_day=prices.monthly(prices.ALARM_MONTH),
    ),
    Kind(
        name="sns-topic",
        service="sns",
        call="list_topics",
        entries="Topics",
        identifier="TopicArn",
        terraform="aws_sns_topic",
        tags=asked("list_tags_for_resource", "ResourceArn", "TopicArn", "Tags"),
    ),
    Kind(
        name="sqs-queue",
        service="sqs",
        call="list_queues",
        entries="QueueUrls",
        identifier="",
        terraform="aws_sqs_queue",
        tags=asked("list_queue_tags", "QueueUrl", "", "Tags"),
    ),
)
