# Who may do what from CI. GitHub's runs get short-lived credentials by OpenID Connect, and no key is kept anywhere.
#
# - verify: makes and destroys ephemeral environments, and nothing else;
# - plan: reads staging and production, for plans, drift and suites marked readonly;
# - deploy-staging, deploy-production: apply their environment, from GitHub's environment of that name.

locals {
  tags = {
    Project     = var.project
    Environment = "global"
    ManagedBy   = "terraform"
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  issuer    = "token.actions.githubusercontent.com"

  # Role → the subjects of GitHub's tokens that may take it.
  subjects = {
    verify            = ["repo:${var.repository}:environment:ephemeral"]
    plan              = ["repo:${var.repository}:ref:refs/heads/main", "repo:${var.repository}:ref:refs/heads/develop"]
    deploy-staging    = ["repo:${var.repository}:environment:staging"]
    deploy-production = ["repo:${var.repository}:environment:production"]
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]

  tags = merge(local.tags, { Name = "github" })
}

resource "aws_iam_role" "ci" {
  for_each = local.subjects

  name                 = "${var.project}-ci-${each.key}"
  description          = "GitHub's runs of ${var.repository}: ${each.key}"
  max_session_duration = each.key == "verify" ? 10800 : 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = aws_iam_openid_connect_provider.github.arn }
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = each.value
        }
      }
    }]
  })

  tags = local.tags
}

resource "aws_iam_role_policy_attachment" "ci" {
  for_each = {
    verify-change            = { role = "verify", policy = "verify" }
    verify-read              = { role = "verify", policy = "read" }
    plan-read                = { role = "plan", policy = "read" }
    plan-state               = { role = "plan", policy = "state" }
    deploy-staging-change    = { role = "deploy-staging", policy = "deploy-staging" }
    deploy-staging-read      = { role = "deploy-staging", policy = "read" }
    deploy-staging-state     = { role = "deploy-staging", policy = "state-staging" }
    deploy-production-change = { role = "deploy-production", policy = "deploy-production" }
    deploy-production-read   = { role = "deploy-production", policy = "read" }
    deploy-production-state  = { role = "deploy-production", policy = "state-production" }
  }

  role       = aws_iam_role.ci[each.value.role].name
  policy_arn = aws_iam_policy.this[each.value.policy].arn
}
