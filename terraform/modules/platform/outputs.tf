output "modules" {
  description = "Which parts were made."
  value       = sort(var.modules)
}

output "vpc_id" {
  description = "Identifier of the VPC; null without it."
  value       = one(module.vpc[*].vpc_id)
}

output "vpc_cidr" {
  description = "IPv4 range of the VPC; null without it."
  value       = one(module.vpc[*].cidr_block)
}

output "private_subnet_ids" {
  description = "Subnets of the nodes and stores."
  value       = flatten(module.vpc[*].private_subnet_ids)
}

output "private_route_table_ids" {
  description = "Route tables of the private subnets."
  value       = flatten(module.vpc[*].private_route_table_ids)
}

output "cluster_name" {
  description = "Name of the EKS cluster; null without it."
  value       = one(module.eks[*].cluster_name)
}

output "cluster_endpoint" {
  description = "Address of the EKS cluster's API server; null without it."
  value       = one(module.eks[*].cluster_endpoint)
}

output "node_groups" {
  description = "Each node group's labels and taints."
  value       = merge(module.eks[*].node_groups...)
}

output "oidc_provider_arn" {
  description = "ARN of the provider by which service accounts get roles; null without a cluster."
  value       = one(module.eks[*].oidc_provider_arn)
}

output "database" {
  description = "Identifier, address and password secret's ARN of the database; null without it."
  value       = one([for found in module.rds : { identifier = found.identifier, endpoint = found.endpoint, password_secret_arn = found.password_secret_arn }])
}

output "cache" {
  description = "Identifier and primary's address of the cache; null without it."
  value       = one([for found in module.redis : { identifier = found.replication_group_id, endpoint = found.primary_endpoint }])
}

output "storage_bucket" {
  description = "Name of the versioned bucket for images and exports; null without it."
  value       = one(module.storage[*].bucket)
}

output "cdn" {
  description = "Identifier, name and zone of the distribution; null without it."
  value       = one([for found in module.cdn : { id = found.distribution_id, domain_name = found.domain_name, zone_id = found.hosted_zone_id }])
}

output "service_environment" {
  description = "Environment variables that every deployed service gets; what was not made is left out."
  value = { for name, value in {
    AWS_REGION     = var.region
    STORAGE_BUCKET = one(module.storage[*].bucket)
    EKS_CLUSTER    = one(module.eks[*].cluster_name)
  } : name => value if value != null }
}
