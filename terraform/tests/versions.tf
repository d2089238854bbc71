# Nothing is made here: this root is where `terraform init` and `terraform test` run, for all modules and
# environments at once. Starting the provider is most of a test's time.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
