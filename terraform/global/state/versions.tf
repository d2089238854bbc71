terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # The bucket cannot keep the state that makes it. Apply once by hand; losing this state costs an import.
  backend "local" {}
}
