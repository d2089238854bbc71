# Staging: production's wiring at half its sizes.

locals {
  name = "ecochain-staging"

  tags = {
    Project     = "ecochain"
    Environment = "staging"
    ManagedBy   = "terraform"
  }
}

module "platform" {
  source = "../../modules/platform"

  name          = local.name
  region        = var.region
  zones         = 3
  vpc_cidr      = var.vpc_cidr
  nat           = "single"
  multi_az      = false
  disposable    = false
  customer_key  = true
  flow_log_days = 14
  instance_tags = local.tags

  kubernetes_version  = var.kubernetes_version
  public_access_cidrs = var.public_access_cidrs
  launch_templates    = var.launch_templates
  log_days            = 30

  node_groups = {
    general = {
      instance_types = ["t3.medium"]
      min_size       = 1
      desired_size   = 2
      max_size       = 5
      labels         = { workload = "general" }
    }
    ai = {
      instance_types = ["g4dn.xlarge"]
      ami_type       = "AL2023_x86_64_NVIDIA"
      disk_gib       = 100
      min_size       = 1
      desired_size   = 1
      max_size       = 3
      labels         = { workload = "ai" }
      taints         = [{ key = "workload", value = "ai", effect = "NO_SCHEDULE" }]
    }
  }

  database = { instance_class = "db.t4g.medium", backup_days = 7 }
  cache    = { node_type = "cache.t4g.small", replicas = 1, snapshot_days = 1 }
  cdn      = var.cdn

  lifecycle_rules = var.lifecycle_rules ? { infrequent_access_days = 90 } : null
}
