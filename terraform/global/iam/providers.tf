locals {
  double = var.aws_endpoint_url != null
}

# Credentials come from the environment only (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY). With the double
# nothing is asked of AWS itself: the harness sets AWS_ENDPOINT_URL too, which covers every service.
provider "aws" {
  region              = var.region
  allowed_account_ids = var.account_id == null ? null : [var.account_id]

  s3_use_path_style           = local.double
  skip_credentials_validation = local.double
  skip_metadata_api_check     = local.double
  skip_region_validation      = local.double
  skip_requesting_account_id  = local.double

  # Only where it says something: the provider spends 3 s on each of its checks of such a block.
  dynamic "endpoints" {
    for_each = local.double ? [var.aws_endpoint_url] : []
    content {
      iam = var.aws_endpoint_url
      sts = var.aws_endpoint_url
    }
  }

  default_tags {
    tags = local.tags
  }
}
