locals {
  double = var.aws_endpoint_url != null
}

# Credentials come from the environment only (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY). With the double
# nothing is asked of AWS itself, and AWS_ENDPOINT_URL, which the harness sets too, covers the services that
# are not listed here.
provider "aws" {
  region = var.region

  s3_use_path_style           = local.double
  skip_credentials_validation = local.double
  skip_metadata_api_check     = local.double
  skip_region_validation      = local.double
  skip_requesting_account_id  = local.double

  endpoints {
    ec2 = var.aws_endpoint_url
    eks = var.aws_endpoint_url
    iam = var.aws_endpoint_url
    s3  = var.aws_endpoint_url
    sts = var.aws_endpoint_url
  }

  default_tags {
    tags = local.tags
  }
}
