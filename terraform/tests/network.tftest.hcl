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
  name               = "ecochain-test"
  cidr               = "10.9.0.0/16"
  availability_zones = ["ap-south-1a", "ap-south-1b", "ap-south-1c"]
}

run "nothing_leaves_without_nat" {
  command = plan
  module { source = "../modules/vpc" }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.nat) == 0 && length(aws_route_table.private) == 1
    error_message = "Without NAT there is one private route table and no route out of it."
  }

  assert {
    condition     = alltrue([for subnet in merge(aws_subnet.private, aws_subnet.public) : !subnet.map_public_ip_on_launch])
    error_message = "No subnet hands out public addresses."
  }

  assert {
    condition     = length(distinct([for subnet in merge(aws_subnet.private, { for zone, one in aws_subnet.public : "${zone}-public" => one }) : subnet.cidr_block])) == 6
    error_message = "Each of the six subnets has a range of its own."
  }
}

run "one_way_out_for_all" {
  command = plan
  module { source = "../modules/vpc" }
  variables { nat = "single" }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 1
    error_message = "nat = single makes one NAT gateway and one route to it."
  }
}

run "a_way_out_for_each_zone" {
  command = plan
  module { source = "../modules/vpc" }
  variables {
    nat           = "per_zone"
    flow_log_days = 90
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_route_table.private) == 3 && length(aws_route.nat) == 3
    error_message = "nat = per_zone makes a gateway, a route table and a route for each zone."
  }

  assert {
    condition     = aws_flow_log.this[0].traffic_type == "ALL" && aws_cloudwatch_log_group.flow[0].retention_in_days == 90
    error_message = "Flow logs hold all traffic, for as long as asked."
  }
}

run "a_range_that_is_too_small" {
  command = plan
  module { source = "../modules/vpc" }
  variables { cidr = "10.9.0.0/25" }
  expect_failures = [var.cidr]
}

run "one_zone_is_too_few" {
  command = plan
  module { source = "../modules/vpc" }
  variables { availability_zones = ["ap-south-1a"] }
  expect_failures = [var.availability_zones]
}

run "an_unknown_way_out" {
  command = plan
  module { source = "../modules/vpc" }
  variables { nat = "both" }
  expect_failures = [var.nat]
}

run "a_retention_that_cloudwatch_does_not_know" {
  command = plan
  module { source = "../modules/vpc" }
  variables { flow_log_days = 2 }
  expect_failures = [var.flow_log_days]
}
