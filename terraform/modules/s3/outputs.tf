output "bucket" {
  description = "Name of the bucket; known only when all that guards it is in force."
  value       = aws_s3_bucket.this.bucket

  depends_on = [
    aws_s3_bucket_versioning.this,
    aws_s3_bucket_public_access_block.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_policy.this,
  ]
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "regional_domain_name" {
  description = "Name under which CloudFront reaches the bucket."
  value       = aws_s3_bucket.this.bucket_regional_domain_name
}
