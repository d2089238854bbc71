# MongoDB Atlas of one environment. A root of its own: the others plan without its provider and its keys.
# Keys come from MONGODB_ATLAS_PUBLIC_KEY and MONGODB_ATLAS_PRIVATE_KEY, AWS's from its usual variables.

locals {
  name = "ecochain-${var.environment}"

  tags = {
    Project     = "ecochain"
    Environment = var.environment
    ManagedBy   = "terraform"
  }
}

provider "mongodbatlas" {}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = local.tags
  }
}

module "cluster" {
  source = "../modules/mongodb_atlas"

  name = local.name
  tags = local.tags

  project_id         = var.project_id
  mongodb_version    = var.mongodb_version
  instance_size      = var.instance_size
  backup_days        = var.backup_days
  point_in_time_days = var.point_in_time_days
  atlas_cidr         = var.atlas_cidr
  disposable         = var.disposable
  region             = var.region
  account_id         = var.account_id
  vpc_id             = var.vpc_id
  vpc_cidr           = var.vpc_cidr
  route_table_ids    = var.route_table_ids
}
