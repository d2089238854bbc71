locals {
  double = var.aws_endpoint_url != null
}

# Credentials come from the environment only (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), and so does the way to
# the double (AWS_ENDPOINT_URL): the provider spends 3 s on every check of an `endpoints` block. Where that is not
# set, the account is another one than the double's, and nothing is done.
provider "aws" {
  region              = var.region
  allowed_account_ids = local.double ? ["000000000000"] : null

  s3_use_path_style           = local.double
  skip_credentials_validation = local.double
  skip_metadata_api_check     = local.double
  skip_region_validation      = local.double

  default_tags {
    tags = local.tags
  }
}
