# ruff: noqa: E501, ISC004 - a table of pieces of configuration, each as it stands there
"""Modules with one thing wrong each, and the tests of suites/infrastructure that must turn red for it."""

from __future__ import annotations

from dataclasses import dataclass

_VPC, _EKS, _S3, _RDS = (
    "modules/vpc/main.tf",
    "modules/eks/main.tf",
    "modules/s3/main.tf",
    "modules/rds/main.tf",
)
_CACHE, _CDN = "modules/elasticache/main.tf", "modules/cloudfront/main.tf"
_PLATFORM, _PRODUCTION = "modules/platform/main.tf", "environments/production/main.tf"

ALL = frozenset({"vpc", "eks", "rds", "elasticache", "s3", "cloudfront"})
NETWORK, CLUSTER, STORAGE = frozenset({"vpc"}), frozenset({"vpc", "eks"}), frozenset({"s3"})
DATABASE, CACHE, CDN = (
    frozenset({"vpc", "rds"}),
    frozenset({"vpc", "elasticache"}),
    frozenset({"s3", "cloudfront"}),
)
_CERTIFICATE = 'cdn = { certificate_arn = "arn:aws:acm:us-east-1:000000000000:certificate/ecochain" }'


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Production with `changes` (file, text, other text) made to it, and what `reds` it must have.

    `lifecycle` lets it have lifecycle rules, `untagged` a provider without default tags.
    """

    name: str
    modules: frozenset[str]
    reds: frozenset[str] = frozenset()
    changes: tuple[tuple[str, str, str], ...] = ()
    lifecycle: bool = False
    untagged: bool = False

    @property
    def short(self) -> str:
        """Return a name that leaves room in ElastiCache's 40 characters."""
        return self.name.replace("_", "-")


def _v(
    name: str, modules: frozenset[str], reds: str, *changes: tuple[str, str, str], lifecycle: bool = False
) -> Variant:
    wanted = frozenset(f"test_{red}" for red in reds.split())
    return Variant(name=name, modules=modules, reds=wanted, changes=changes, lifecycle=lifecycle)


# What ships, whole, and under a certificate of its own: nothing may be red.
SOUND = (
    Variant(name="sound", modules=ALL, lifecycle=True),
    _v("sound_cert", CDN, "", (_PRODUCTION, "cdn      = var.cdn", _CERTIFICATE)),
)
SOUND_STORAGE = Variant(name="sound_s3", modules=STORAGE)

STORAGE_VARIANTS = (
    _v(
        "one_version",
        STORAGE,
        "every_version_is_kept",
        (
            _S3,
            'versioning_configuration {\n    status = "Enabled"',
            'versioning_configuration {\n    status = "Suspended"',
        ),
    ),
    _v(
        "s3s_key",
        STORAGE,
        "objects_are_encrypted",
        (_PLATFORM, "  kms_key_arn     = local.kms_key_arn\n  # By", "  # By"),
    ),
    _v(
        "public_s3",
        STORAGE,
        "public_access_is_blocked",
        (_S3, "block_public_policy     = true", "block_public_policy     = false"),
    ),
    _v("acls", STORAGE, "objects_have_no_access_lists", (_S3, "BucketOwnerEnforced", "BucketOwnerPreferred")),
    _v(
        "plain_http",
        STORAGE,
        "only_tls_is_spoken",
        (_S3, '"aws:SecureTransport" = "false"', '"aws:SecureTransport" = "true"'),
    ),
    _v("old_tls", STORAGE, "only_tls_is_spoken", (_S3, '"s3:TlsVersion" = "1.2"', '"s3:TlsVersion" = "1.0"')),
    _v(
        "kept_ever",
        STORAGE,
        "superseded_versions_and_unfinished_uploads_go",
        (_PLATFORM, "  lifecycle_rules = var.lifecycle_rules\n", "  lifecycle_rules = null\n"),
        lifecycle=True,
    ),
    Variant(
        name="untagged",
        modules=STORAGE,
        untagged=True,
        reds=frozenset({"test_everything_that_can_carry_tags_says_whose_it_is"}),
    ),
)

VARIANTS = (
    *STORAGE_VARIANTS,
    # the way in is also the way out, so that no zone has a NAT gateway of its own
    _v("way_in", NETWORK, "private_subnets_have_no_way_in each_zone_has_its_own_way_out",
       (_VPC, 'nat_gateway_id         = var.nat == "per_zone" ? aws_nat_gateway.this[each.key].id : '
        "one(values(aws_nat_gateway.this)).id", "gateway_id = aws_internet_gateway.this.id")),
    _v("public_ips", NETWORK, "private_subnets_have_no_way_in",
       (_VPC, "cidrsubnet(var.cidr, 4, each.value + 8)",
        "cidrsubnet(var.cidr, 4, each.value + 8)\n  map_public_ip_on_launch = true")),
    _v("two_zones", NETWORK, "private_subnets_lie_in_several_zones",
       (_PLATFORM, '["a", "b", "c"], 0, var.zones', '["a", "b", "c"], 0, 2')),
    _v("one_nat", NETWORK, "each_zone_has_its_own_way_out", (_PRODUCTION, '"per_zone"', '"single"')),
    _v("default_sg", NETWORK, "the_default_security_group_is_closed",
       (_VPC, '-default-closed" })', '-default-closed" })\n  ingress {\n    protocol = "tcp"\n    from_port = 443\n'
        '    to_port = 443\n    cidr_blocks = ["10.1.0.0/16"]\n  }')),
    _v("open_sg", CACHE, "no_security_group_is_open_to_the_internet",
       (_CACHE, "cidr_ipv4         = each.key", 'cidr_ipv4         = "0.0.0.0/0"')),
    _v("no_flow", NETWORK, "flow_logs_are_written", (_PRODUCTION, "flow_log_days = 90", "flow_log_days = null")),
    _v("no_taint", CLUSTER, "ai_nodes_are_tainted_and_labelled",
       (_PRODUCTION, 'taints         = [{ key = "workload", value = "ai", effect = "NO_SCHEDULE" }]', "")),
    _v("no_label", CLUSTER, "ai_nodes_are_tainted_and_labelled",
       (_PRODUCTION, 'labels         = { workload = "ai" }', "")),
    _v("all_taint", CLUSTER, "general_nodes_take_any_pod",
       (_EKS, "for_each = each.value.taints", 'for_each = [{ key = "workload", value = "ai", effect = "NO_SCHEDULE" }]')),
    _v("public_eks", CLUSTER, "nodes_lie_in_private_subnets",
       (_PLATFORM, "  subnet_ids          = local.subnet_ids", "  subnet_ids = one(module.vpc[*].public_subnet_ids)")),
    _v("open_api", CLUSTER, "the_api_server_is_not_open_to_the_internet",
       (_EKS, "endpoint_public_access  = length(var.public_access_cidrs) > 0", "endpoint_public_access = true"),
       (_EKS, "length(var.public_access_cidrs) > 0 ? var.public_access_cidrs : null", '["0.0.0.0/0"]')),
    _v("no_audit", CLUSTER, "the_control_plane_is_logged", (_EKS, '"audit", ', "")),
    _v("logs_ever", CLUSTER, "the_control_planes_logs_have_an_end",
       (_EKS, "retention_in_days = var.log_days", "retention_in_days = 0")),
    _v("audience", CLUSTER, "service_accounts_get_roles_from_this_cluster_alone",
       (_EKS, 'client_id_list = ["sts.amazonaws.com"]', 'client_id_list = ["anyone"]')),
    _v("no_dns", CLUSTER, "addons_are_there", ("modules/eks/variables.tf", "    coredns    = {}\n", "")),
    _v("node_role", CLUSTER, "the_storage_driver_has_a_role_of_its_own",
       (_EKS, "try(aws_iam_role.addon[each.key].arn, null)", "null")),
    _v("no_secret_key", CLUSTER, "secrets_are_encrypted_by_the_environments_key",
       (_EKS, "for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]", "for_each = []"),
       (_EKS, "key_arn = encryption_config.value", 'key_arn = ""')),
    _v("any_reader", CDN, "nobody_is_let_in_but_the_distribution",
       (_S3, 'StringEquals = { "aws:SourceArn" = arn }', 'StringLike = { "aws:SourceArn" = "*" }')),
    _v("plain_db", DATABASE, "the_database_is_encrypted",
       (_RDS, "  storage_encrypted     = true\n  kms_key_id            = var.kms_key_arn\n", "")),
    _v("public_db", DATABASE, "the_database_is_private",
       (_RDS, "publicly_accessible    = false", "publicly_accessible    = true")),
    _v("db_no_tls", DATABASE, "the_database_speaks_tls_only",
       (_RDS, 'name  = "rds.force_ssl"\n    value = "1"', 'name  = "rds.force_ssl"\n    value = "0"')),
    _v("db_week", DATABASE, "the_database_is_backed_up", (_PRODUCTION, "backup_days = 35", "backup_days = 7")),
    _v("db_one_az", DATABASE, "the_database_survives_the_loss_of_a_zone",
       (_RDS, "multi_az               = var.multi_az", "multi_az = false")),
    _v("db_loose", DATABASE, "the_database_is_not_deleted_by_mistake",
       (_RDS, "deletion_protection       = !var.disposable", "deletion_protection = false")),
    _v("db_no_iam", DATABASE, "pods_may_use_their_roles_to_log_in",
       (_RDS, "iam_database_authentication_enabled = true", "iam_database_authentication_enabled = false")),
    _v("plain_cache", CACHE, "the_cache_is_encrypted",
       (_CACHE, "at_rest_encryption_enabled = true\n  kms_key_id                 = var.kms_key_arn\n",
        "at_rest_encryption_enabled = false\n")),
    _v("cache_tls", CACHE, "the_cache_speaks_tls_only",
       (_CACHE, 'transit_encryption_enabled = true\n  transit_encryption_mode    = "required"',
        "transit_encryption_enabled = false")),
    _v("cache_either", CACHE, "the_cache_speaks_tls_only", (_CACHE, '"required"', '"preferred"')),
    _v("cache_pub", CACHE, "the_cache_is_private",
       (_PLATFORM, "  subnet_ids    = local.subnet_ids", "  subnet_ids = one(module.vpc[*].public_subnet_ids)")),
    _v("cache_zone", CACHE, "the_cache_survives_the_loss_of_a_zone",
       (_CACHE, "multi_az_enabled           = var.multi_az", "multi_az_enabled = false")),
    _v("http", CDN, "visitors_are_sent_to_https", (_CDN, '"redirect-to-https"', '"allow-all"')),
    _v("no_hsts", CDN, "browsers_are_told_to_stay_with_https",
       (_CDN, "access_control_max_age_sec = 31536000", "access_control_max_age_sec = 300")),
    _v("unsigned", CDN, "the_bucket_is_asked_with_a_signature",
       (_CDN, "    origin_access_control_id = aws_cloudfront_origin_access_control.this.id\n", "")),
    _v("cdn_tls", CDN, "old_tls_is_refused_under_our_own_names",
       (_PRODUCTION, "cdn      = var.cdn", _CERTIFICATE), (_CDN, '"TLSv1" : "TLSv1.2_2021"', '"TLSv1" : "TLSv1"')),
)  # fmt: skip
