mock_provider "aws" {
  mock_resource "aws_eks_cluster" {
    defaults = {
      identity = [{ oidc = [{ issuer = "https://oidc.eks.ap-south-1.amazonaws.com/id/0123456789ABCDEF" }] }]
    }
  }

  # OpenTofu makes computed values up while it plans, and the provider looks at what they look like.
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:ap-south-1:000000000000:log-group:mocked" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::000000000000:policy/mocked" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::000000000000:role/mocked" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:ap-south-1:000000000000:key/00000000-0000-0000-0000-000000000000" }
  }

  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "000000000000" }
  }

  mock_data "aws_region" {
    defaults = { name = "ap-south-1" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  bucket = "ecochain-test-storage"
}

run "kept_private_and_in_versions" {
  command = plan
  module { source = "../modules/s3" }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled" && !aws_s3_bucket.this.force_destroy
    error_message = "Every version is kept, and a bucket with data in it is not destroyed."
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this[0].rule) == 2
    error_message = "Superseded versions and unfinished uploads have an end; nothing else moves."
  }
}

run "no_rules_where_none_are_wanted" {
  command = plan
  module { source = "../modules/s3" }
  variables { lifecycle_rules = null }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this) == 0
    error_message = "lifecycle_rules = null makes no rule."
  }
}

run "a_name_too_long_for_a_bucket" {
  command = plan
  module { source = "../modules/s3" }
  variables { bucket = "ecochain-ephemeral-0123456789-0123456789-0123456789-0123-storage" }
  expect_failures = [var.bucket]
}

run "too_early_for_infrequent_access" {
  command = plan
  module { source = "../modules/s3" }
  variables { lifecycle_rules = { infrequent_access_days = 7 } }
  expect_failures = [var.lifecycle_rules]
}

run "names_of_our_own_need_a_certificate" {
  command = plan
  module { source = "../modules/cloudfront" }
  variables {
    name               = "ecochain-test"
    bucket_domain_name = "ecochain-test-storage.s3.ap-south-1.amazonaws.com"
    aliases            = ["cdn.ecochain.com"]
  }
  expect_failures = [aws_cloudfront_distribution.this]
}

run "modern_tls_under_names_of_our_own" {
  command = plan
  module { source = "../modules/cloudfront" }
  variables {
    name               = "ecochain-test"
    bucket_domain_name = "ecochain-test-storage.s3.ap-south-1.amazonaws.com"
    aliases            = ["cdn.ecochain.com"]
    certificate_arn    = "arn:aws:acm:us-east-1:000000000000:certificate/0"
  }

  assert {
    condition     = aws_cloudfront_distribution.this.viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021"
    error_message = "TLS 1.2 is the least."
  }
}

run "a_certificate_where_cloudfront_does_not_look" {
  command = plan
  module { source = "../modules/cloudfront" }
  variables {
    name               = "ecochain-test"
    bucket_domain_name = "ecochain-test-storage.s3.ap-south-1.amazonaws.com"
    certificate_arn    = "arn:aws:acm:ap-south-1:000000000000:certificate/0"
  }
  expect_failures = [var.certificate_arn]
}
