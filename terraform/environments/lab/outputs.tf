output "name" {
  description = "Name that every resource of the environment begins with."
  value       = local.name
}

output "modules" {
  description = "Which parts were made."
  value       = module.platform.modules
}

output "region" {
  description = "AWS region."
  value       = var.region
}

output "vpc_id" {
  description = "Identifier of the VPC; null without it."
  value       = module.platform.vpc_id
}

output "vpc_cidr" {
  description = "IPv4 range of the VPC; null without it."
  value       = module.platform.vpc_cidr
}

output "private_subnet_ids" {
  description = "Subnets of the nodes and stores."
  value       = module.platform.private_subnet_ids
}

output "private_route_table_ids" {
  description = "Route tables of the private subnets; MongoDB Atlas' peering adds its routes there."
  value       = module.platform.private_route_table_ids
}

output "cluster_name" {
  description = "Name of the EKS cluster; null without it."
  value       = module.platform.cluster_name
}

output "cluster_endpoint" {
  description = "Address of the EKS cluster's API server; null without it."
  value       = module.platform.cluster_endpoint
}

output "node_groups" {
  description = "Each node group's labels and taints."
  value       = module.platform.node_groups
}

output "oidc_provider_arn" {
  description = "ARN of the provider by which service accounts get roles; null without a cluster."
  value       = module.platform.oidc_provider_arn
}

output "database" {
  description = "Identifier, address and password secret's ARN of the database; null without it."
  value       = module.platform.database
}

output "cache" {
  description = "Identifier and primary's address of the cache; null without it."
  value       = module.platform.cache
}

output "storage_bucket" {
  description = "Name of the versioned bucket for images and exports; null without it."
  value       = module.platform.storage_bucket
}

output "cdn" {
  description = "Identifier, name and zone of the distribution; null without it."
  value       = module.platform.cdn
}

output "service_environment" {
  description = "Environment variables that every deployed service gets; what was not made is left out."
  value       = module.platform.service_environment
}

output "lifecycle_rules" {
  description = "Whether the bucket has lifecycle rules."
  value       = var.lifecycle_rules
}
