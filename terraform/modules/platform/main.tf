# EcoChain's AWS side as one: what belongs to what. Environments differ in sizes and safeguards, not in wiring,
# so what the lab applies is what production runs.

locals {
  zones = [for letter in slice(["a", "b", "c"], 0, var.zones) : "${var.region}${letter}"]

  has = { for name in ["vpc", "eks", "rds", "elasticache", "s3", "cloudfront"] : name => contains(var.modules, name) }

  kms_key_arn = one(module.kms[*].arn)
  subnet_ids  = one(module.vpc[*].private_subnet_ids)
  vpc_id      = one(module.vpc[*].vpc_id)
  # The stores are for pods: they answer to the network's own addresses.
  client_cidrs = [var.vpc_cidr]
}

module "kms" {
  source = "../kms"
  count  = var.customer_key ? 1 : 0

  name = var.name
}

module "vpc" {
  source = "../vpc"
  count  = local.has.vpc ? 1 : 0

  name               = var.name
  cidr               = var.vpc_cidr
  availability_zones = local.zones
  nat                = var.nat
  flow_log_days      = var.flow_log_days
  kms_key_arn        = local.kms_key_arn
}

module "eks" {
  source = "../eks"
  count  = local.has.eks ? 1 : 0

  name                = var.name
  kubernetes_version  = var.kubernetes_version
  subnet_ids          = local.subnet_ids
  public_access_cidrs = var.public_access_cidrs
  node_groups         = var.node_groups
  launch_templates    = var.launch_templates
  log_days            = var.log_days
  instance_tags       = var.instance_tags
  kms_key_arn         = local.kms_key_arn
}

module "rds" {
  source = "../rds"
  count  = local.has.rds ? 1 : 0

  name                 = "${var.name}-db"
  vpc_id               = local.vpc_id
  subnet_ids           = local.subnet_ids
  client_cidrs         = local.client_cidrs
  instance_class       = var.database.instance_class
  multi_az             = var.multi_az
  backup_days          = var.database.backup_days
  performance_insights = var.database.performance_insights
  disposable           = var.disposable
  kms_key_arn          = local.kms_key_arn

  allocated_storage_gib     = var.database.storage_gib
  max_allocated_storage_gib = var.database.max_storage_gib
}

module "redis" {
  source = "../elasticache"
  count  = local.has.elasticache ? 1 : 0

  # ElastiCache's names end at 40 characters.
  name          = length("${var.name}-redis") <= 40 ? "${var.name}-redis" : "${trimsuffix(substr(var.name, 0, 25), "-")}-${substr(sha256(var.name), 0, 8)}-redis"
  vpc_id        = local.vpc_id
  subnet_ids    = local.subnet_ids
  client_cidrs  = local.client_cidrs
  node_type     = var.cache.node_type
  replicas      = var.cache.replicas
  multi_az      = var.multi_az
  snapshot_days = var.cache.snapshot_days
  kms_key_arn   = local.kms_key_arn
}

module "storage" {
  source = "../s3"
  count  = local.has.s3 ? 1 : 0

  bucket          = "${var.name}-storage"
  force_destroy   = var.disposable
  lifecycle_rules = var.lifecycle_rules
  kms_key_arn     = local.kms_key_arn
  # By index, not by [*], which would mean all outputs of both modules, and those form a circle.
  reader_distribution_arns = local.has.cloudfront ? [module.cdn[0].distribution_arn] : []
}

module "cdn" {
  source = "../cloudfront"
  count  = local.has.cloudfront ? 1 : 0

  name                = var.name
  bucket_domain_name  = module.storage[0].regional_domain_name
  aliases             = var.cdn.aliases
  certificate_arn     = var.cdn.certificate_arn
  web_acl_arn         = var.cdn.web_acl_arn
  wait_for_deployment = var.cdn.wait_for_deployment
}
