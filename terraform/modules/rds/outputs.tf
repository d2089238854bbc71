output "identifier" {
  description = "Identifier of the instance."
  value       = aws_db_instance.this.identifier
}

output "endpoint" {
  description = "Address of the instance, host:port."
  value       = aws_db_instance.this.endpoint
}

output "security_group_id" {
  description = "Security group of the instance."
  value       = aws_security_group.this.id
}

output "password_secret_arn" {
  description = "ARN of the secret in Secrets Manager that holds the password; the password itself is nowhere else."
  value       = try(aws_db_instance.this.master_user_secret[0].secret_arn, null)
}
