output "cluster_name" {
  description = "Name of the cluster."
  value       = module.cluster.cluster_name
}

output "connection_host" {
  description = "Host name of the cluster for mongodb+srv://; it holds no credential."
  value       = module.cluster.connection_host
}
