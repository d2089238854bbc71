output "cluster_name" {
  description = "Name of the cluster; known only when its node groups are there."
  value       = aws_eks_cluster.this.name

  depends_on = [aws_eks_node_group.this, aws_eks_addon.this]
}

output "cluster_endpoint" {
  description = "Address of the cluster's API server."
  value       = aws_eks_cluster.this.endpoint
}

output "cluster_version" {
  description = "Kubernetes version of the cluster."
  value       = aws_eks_cluster.this.version
}

output "node_role_arn" {
  description = "ARN of the role that the nodes act under."
  value       = aws_iam_role.node.arn
}

output "node_groups" {
  description = "Each node group's labels and taints, as the cluster has them."
  value = {
    for name, group in aws_eks_node_group.this : name => {
      labels = group.labels
      taints = [for taint in group.taint : "${taint.key}=${taint.value}:${taint.effect}"]
    }
  }
}

output "oidc_provider_arn" {
  description = "ARN of the provider by which service accounts get roles."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "oidc_issuer" {
  description = "The cluster's issuer of identities, without its scheme."
  value       = local.issuer
}

output "addons" {
  description = "Names of the cluster's add-ons."
  value       = sort(keys(aws_eks_addon.this))
}
