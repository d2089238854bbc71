terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
    mongodbatlas = {
      source  = "mongodb/mongodbatlas"
      version = "~> 2.0"
    }
  }

  # Bucket, region and key (environments/NAME/atlas.tfstate) are given at init (-backend-config): see global/state.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
