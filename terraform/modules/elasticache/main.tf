# A replication group that speaks Redis' protocol, in private subnets: encrypted at rest and on the way.

locals {
  major  = split(".", var.engine_version)[0]
  family = var.engine == "valkey" ? "valkey${local.major}" : "redis${local.major}"
}

resource "aws_elasticache_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids

  tags = var.tags
}

resource "aws_security_group" "this" {
  name        = "${var.name}-cache"
  description = "Cache of ${var.name}: from the network's own addresses only"
  vpc_id      = var.vpc_id

  tags = merge(var.tags, { Name = "${var.name}-cache" })
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  for_each = toset(var.client_cidrs)

  security_group_id = aws_security_group.this.id
  description       = "Redis protocol from ${each.key}"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 6379
  to_port           = 6379

  tags = merge(var.tags, { Name = "${var.name}-cache" })
}

resource "aws_elasticache_parameter_group" "this" {
  name   = "${var.name}-${local.family}"
  family = local.family

  # Sessions are what it holds: the oldest goes, rather than a login being refused.
  parameter {
    name  = "maxmemory-policy"
    value = "volatile-lru"
  }

  tags = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_elasticache_replication_group" "this" {
  #checkov:skip=CKV_AWS_31:it is encrypted on the way; an AUTH token would stand in Terraform's state in the clear, and only the VPC reaches the nodes
  #checkov:skip=CKV2_AWS_50:multi-AZ and failover are each environment's choice; terraform/tests and the suite hold production to both

  replication_group_id = var.name
  description          = "Cache of ${var.name}"

  engine         = var.engine
  engine_version = var.engine_version
  node_type      = var.node_type
  port           = 6379

  num_cache_clusters         = var.replicas + 1
  automatic_failover_enabled = var.replicas > 0
  multi_az_enabled           = var.multi_az

  subnet_group_name    = aws_elasticache_subnet_group.this.name
  security_group_ids   = [aws_security_group.this.id]
  parameter_group_name = aws_elasticache_parameter_group.this.name

  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_arn
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"

  snapshot_retention_limit   = var.snapshot_days
  auto_minor_version_upgrade = true
  apply_immediately          = true

  tags = merge(var.tags, { Name = var.name })

  lifecycle {
    precondition {
      condition     = !var.multi_az || var.replicas > 0
      error_message = "multi_az needs at least one replica."
    }
  }
}
