# The bucket that keeps the state of everything that stays: staging, production and the other global roots.
# S3 itself locks (use_lockfile): no table is needed. Its versions are the way back from a damaged state.

locals {
  tags = {
    Project     = var.project
    Environment = "global"
    ManagedBy   = "terraform"
  }
}

data "aws_caller_identity" "current" {}

module "state" {
  source = "../../modules/s3"

  # The account's number makes the name unique in the world.
  bucket          = "${var.project}-terraform-state-${data.aws_caller_identity.current.account_id}"
  lifecycle_rules = var.lifecycle_rules ? { noncurrent_days = 365 } : null
}
