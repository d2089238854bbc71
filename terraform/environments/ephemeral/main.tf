# One run's environment in a real account: the platform in its smallest sizes, named and tagged by the run, and
# destroyed by the run's end or by the reaper after expires_at.

locals {
  name = "${var.project}-${var.environment}-${var.run_id}"

  tags = {
    "ecochain.dev/run"        = var.run_id
    "ecochain.dev/expires-at" = var.expires_at
    Project                   = var.project
    Environment               = var.environment
    ManagedBy                 = "terraform"
  }
}

module "platform" {
  source = "../../modules/platform"

  name          = local.name
  region        = var.region
  modules       = var.modules
  zones         = 2
  vpc_cidr      = var.vpc_cidr
  nat           = "single" # nodes pull their images from outside
  multi_az      = false
  disposable    = true
  customer_key  = false # a key cannot be deleted sooner than in 7 days: AWS's own keys leave nothing behind
  instance_tags = local.tags

  kubernetes_version  = var.kubernetes_version
  public_access_cidrs = var.public_access_cidrs
  launch_templates    = var.launch_templates
  log_days            = 1

  node_groups = {
    general = {
      instance_types = ["t3.medium"]
      min_size       = 1
      desired_size   = 2
      max_size       = 3
      labels         = { workload = "general" }
    }
    ai = {
      instance_types = ["g4dn.xlarge"]
      ami_type       = "AL2023_x86_64_NVIDIA"
      disk_gib       = 100
      min_size       = 0
      desired_size   = 1
      max_size       = 1
      labels         = { workload = "ai" }
      taints         = [{ key = "workload", value = "ai", effect = "NO_SCHEDULE" }]
    }
  }

  database = { instance_class = "db.t4g.micro", backup_days = 1, performance_insights = false }
  cache    = { node_type = "cache.t4g.micro", replicas = 0 }

  lifecycle_rules = var.lifecycle_rules ? {} : null
}
