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
  name       = "ecochain-test"
  subnet_ids = ["subnet-a", "subnet-b"]
  node_groups = {
    general = { instance_types = ["t3.medium"], min_size = 1, desired_size = 2, max_size = 3 }
    ai = {
      instance_types = ["g4dn.xlarge"]
      min_size       = 0
      desired_size   = 1
      max_size       = 2
      labels         = { workload = "ai" }
      taints         = [{ key = "workload", value = "ai", effect = "NO_SCHEDULE" }]
    }
  }
}

run "closed_logged_and_apart" {
  command = plan
  module { source = "../modules/eks" }

  assert {
    condition     = !aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].endpoint_private_access
    error_message = "The API server is the VPC's alone unless ranges are named."
  }

  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "All five kinds of logs are on."
  }

  assert {
    condition     = length(aws_eks_node_group.this["ai"].taint) == 1 && length(aws_eks_node_group.this["general"].taint) == 0
    error_message = "AI nodes are tainted, others are not."
  }

  assert {
    condition     = alltrue([for template in aws_launch_template.node : template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "A pod does not reach its node's metadata."
  }

  assert {
    condition     = alltrue([for template in aws_launch_template.node : tobool(template.block_device_mappings[0].ebs[0].encrypted)])
    error_message = "Nodes' disks are encrypted."
  }
}

run "secrets_by_our_own_key" {
  command = plan
  module { source = "../modules/eks" }
  variables { kms_key_arn = "arn:aws:kms:ap-south-1:000000000000:key/00000000-0000-0000-0000-000000000000" }

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"])
    error_message = "Kubernetes' Secrets are encrypted by the given key."
  }
}

run "the_documents_version_is_out_of_support" {
  command = plan
  module { source = "../modules/eks" }
  variables { kubernetes_version = "1.27" }
  expect_failures = [var.kubernetes_version]
}

run "the_whole_internet_is_refused" {
  command = plan
  module { source = "../modules/eks" }
  variables { public_access_cidrs = ["0.0.0.0/0"] }
  expect_failures = [var.public_access_cidrs]
}

run "a_taint_in_kubernetes_own_spelling" {
  command = plan
  module { source = "../modules/eks" }
  variables {
    node_groups = {
      ai = { instance_types = ["g4dn.xlarge"], min_size = 0, desired_size = 1, max_size = 2, taints = [{ key = "workload", value = "ai", effect = "NoSchedule" }] }
    }
  }
  expect_failures = [var.node_groups]
}

run "sizes_in_the_wrong_order" {
  command = plan
  module { source = "../modules/eks" }
  variables {
    node_groups = { general = { instance_types = ["t3.medium"], min_size = 2, desired_size = 1, max_size = 3 } }
  }
  expect_failures = [var.node_groups]
}
