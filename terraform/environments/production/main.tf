# Production: survives the loss of a zone, and keeps its data whatever is destroyed.

locals {
  name = "ecochain-production"

  tags = {
    Project     = "ecochain"
    Environment = "production"
    ManagedBy   = "terraform"
  }
}

module "platform" {
  source = "../../modules/platform"

  name          = local.name
  region        = var.region
  zones         = 3
  vpc_cidr      = var.vpc_cidr
  nat           = "per_zone"
  multi_az      = true
  disposable    = false
  customer_key  = true
  flow_log_days = 90
  instance_tags = local.tags

  kubernetes_version  = var.kubernetes_version
  public_access_cidrs = var.public_access_cidrs
  launch_templates    = var.launch_templates
  log_days            = 90

  node_groups = {
    general = {
      instance_types = ["m6i.large"]
      min_size       = 3
      desired_size   = 3
      max_size       = 10
      labels         = { workload = "general" }
    }
    ai = {
      instance_types = ["g4dn.xlarge"]
      ami_type       = "AL2023_x86_64_NVIDIA"
      disk_gib       = 100
      min_size       = 1
      desired_size   = 2
      max_size       = 4
      labels         = { workload = "ai" }
      taints         = [{ key = "workload", value = "ai", effect = "NO_SCHEDULE" }]
    }
  }

  database = { instance_class = "db.m7g.large", storage_gib = 100, max_storage_gib = 500, backup_days = 35 }
  cache    = { node_type = "cache.m7g.large", replicas = 2, snapshot_days = 7 }
  cdn      = var.cdn

  lifecycle_rules = var.lifecycle_rules ? { infrequent_access_days = 90 } : null
}
