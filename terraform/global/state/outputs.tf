output "bucket" {
  description = "Bucket of the states, for -backend-config=bucket=… of the other roots."
  value       = module.state.bucket
}
