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

run "staging_plans" {
  command = plan
  module { source = "../environments/staging" }

  assert {
    condition     = output.name == "ecochain-staging" && length(output.modules) == 6
    error_message = "Staging has all six parts."
  }
}

run "production_plans" {
  command = plan
  module { source = "../environments/production" }

  assert {
    condition     = output.name == "ecochain-production" && length(output.modules) == 6 && length(output.private_subnet_ids) == 3
    error_message = "Production has all six parts, in three zones."
  }
}

run "ephemeral_plans" {
  command = plan
  module { source = "../environments/ephemeral" }
  variables {
    # As long as a run's name may be: every name made of it must still fit.
    run_id     = "run-0123456789-0123456789-012345"
    expires_at = "2026-01-31T12:00:00Z"
  }

  assert {
    condition     = output.name == "ecochain-ephemeral-run-0123456789-0123456789-012345" && output.region == "ap-south-1"
    error_message = "A run's environment bears the run's name."
  }
}

run "an_end_that_is_no_time" {
  command = plan
  module { source = "../environments/ephemeral" }
  variables {
    run_id     = "run-1"
    expires_at = "tomorrow"
  }
  expect_failures = [var.expires_at]
}

run "eks_needs_the_vpc" {
  command = plan
  module { source = "../environments/ephemeral" }
  variables {
    run_id     = "run-1"
    expires_at = "2026-01-31T12:00:00Z"
    modules    = ["eks"]
  }
  expect_failures = [var.modules]
}

run "an_account_that_is_none" {
  command = plan
  module { source = "../environments/production" }
  variables { account_id = "ecochain" }
  expect_failures = [var.account_id]
}

run "the_lab_makes_the_fast_parts" {
  command = plan
  module { source = "../environments/lab" }
  variables { run_id = "run-1" }

  assert {
    condition     = output.modules == tolist(["eks", "s3", "vpc"]) && !output.lifecycle_rules
    error_message = "The lab's default is what takes the least time."
  }
}

run "global_plans" {
  command = plan
  module { source = "../global/iam" }
  variables { repository = "ecochain/platform" }

  assert {
    condition     = length(aws_iam_role.ci) == 4 && length(aws_iam_policy.this) == 7
    error_message = "Four roles for CI, and seven policies among them."
  }
}

run "the_zone_plans" {
  command = plan
  module { source = "../global/route53" }
  variables { aliases = { cdn = { domain_name = "d1.cloudfront.net", zone_id = "Z2FDTNDATAQYW2" } } }

  assert {
    condition     = length(aws_route53_record.alias) == 2
    error_message = "A name answers over IPv4 and IPv6."
  }
}

run "the_states_bucket_plans" {
  command = plan
  module { source = "../global/state" }

  assert {
    condition     = output.bucket == "ecochain-terraform-state-000000000000"
    error_message = "The bucket bears the account's number."
  }
}
