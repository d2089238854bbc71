terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # The state file's place is given at init: outside the checkout, one for each run.
  backend "local" {}
}
