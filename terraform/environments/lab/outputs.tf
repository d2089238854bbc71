output "region" {
  description = "AWS region."
  value       = var.region
}

output "vpc_id" {
  description = "Identifier of the VPC."
  value       = module.vpc.vpc_id
}

output "private_subnet_ids" {
  description = "Subnets of the nodes."
  value       = module.vpc.private_subnet_ids
}

output "cluster_name" {
  description = "Name of the EKS cluster."
  value       = module.eks.cluster_name
}

output "cluster_endpoint" {
  description = "Address of the EKS cluster's API server."
  value       = module.eks.cluster_endpoint
}

output "node_groups" {
  description = "Each node group's labels and taints."
  value       = module.eks.node_groups
}

output "storage_bucket" {
  description = "Name of the versioned bucket for images and exports."
  value       = module.storage.bucket
}

output "service_environment" {
  description = "Environment variables that every deployed service gets from this environment."
  value = {
    AWS_REGION     = var.region
    STORAGE_BUCKET = module.storage.bucket
    EKS_CLUSTER    = module.eks.cluster_name
  }
}
