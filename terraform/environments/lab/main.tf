# The lab's AWS side: the same modules as the other environments, small, and applied to a double of AWS.

locals {
  name = "${var.project}-${var.environment}-${var.run_id}"

  tags = {
    "ecochain.dev/run" = var.run_id
    Project            = var.project
    Environment        = var.environment
    ManagedBy          = "terraform"
  }
}

module "vpc" {
  source = "../../modules/vpc"

  name               = local.name
  cidr               = var.vpc_cidr
  availability_zones = ["${var.region}a", "${var.region}b"]
}

module "eks" {
  source = "../../modules/eks"

  name               = local.name
  kubernetes_version = var.kubernetes_version
  subnet_ids         = module.vpc.private_subnet_ids

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
      min_size       = 0
      desired_size   = 1
      max_size       = 2
      labels         = { workload = "ai" }
      taints         = [{ key = "workload", value = "ai", effect = "NO_SCHEDULE" }]
    }
  }
}

module "storage" {
  source = "../../modules/s3"

  bucket        = "${local.name}-storage"
  force_destroy = true # a run's data is worth nothing after the run
}
