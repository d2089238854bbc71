terraform {
  # The S3 backend locks by itself from 1.10 on.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Bucket and region are given at init (-backend-config), since they belong to the account: see global/state.
  backend "s3" {
    key          = "global/iam/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
