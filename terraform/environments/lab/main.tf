# The lab's AWS side: the same platform as the other environments, small, and applied to a double of AWS.

locals {
  name = "${var.project}-${var.environment}-${var.run_id}"

  tags = {
    "ecochain.dev/run" = var.run_id
    Project            = var.project
    Environment        = var.environment
    ManagedBy          = "terraform"
  }
}

module "platform" {
  source = "../../modules/platform"

  name          = local.name
  region        = var.region
  modules       = var.modules
  zones         = 2
  vpc_cidr      = var.vpc_cidr
  nat           = "none" # a double routes nothing
  multi_az      = false
  disposable    = true # a run's data is worth nothing after the run
  customer_key  = false
  instance_tags = local.tags

  kubernetes_version = var.kubernetes_version
  launch_templates   = false # the double forgets a node group's template, so every plan would replace the group
  log_days           = 1

  node_groups = {
    general = {
      instance_types = ["t3.large"]
      min_size       = 2
      desired_size   = 2
      max_size       = 4
      labels         = { workload = "general" }
    }
    ai = {
      instance_types = ["g4dn.xlarge"]
      ami_type       = "AL2023_x86_64_NVIDIA"
      disk_gib       = 100
      min_size       = 0
      desired_size   = 1
      max_size       = 2
      labels         = { workload = "ai" }
      taints         = [{ key = "workload", value = "ai", effect = "NO_SCHEDULE" }]
    }
  }

  database = { instance_class = "db.t4g.micro", backup_days = 1, performance_insights = false }
  cache    = { node_type = "cache.t4g.micro", replicas = 1 }

  lifecycle_rules = var.lifecycle_rules ? {} : null
}
