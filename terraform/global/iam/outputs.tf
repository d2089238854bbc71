output "role_arns" {
  description = "ARN of each role that CI takes, by name."
  value       = { for name, role in aws_iam_role.ci : name => role.arn }
}

output "policy_arns" {
  description = "ARN of each policy, by name."
  value       = { for name, policy in aws_iam_policy.this : name => policy.arn }
}
