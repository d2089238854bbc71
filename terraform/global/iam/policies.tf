# What the roles may do. A change is bound to the environment by name where the service has names, and where it has
# only identifiers (EC2) by the tag Environment: given when the thing is made, and required to touch it afterwards.

locals {
  changes = {
    verify            = { environment = "ephemeral", kms = false }
    deploy-staging    = { environment = "staging", kms = true }
    deploy-production = { environment = "production", kms = true }
  }

  states = { for name in ["staging", "production"] : "state-${name}" => "environments/${name}/terraform.tfstate" }

  documents = merge(
    { read = data.aws_iam_policy_document.read.json, state = data.aws_iam_policy_document.state_read.json },
    { for name, document in data.aws_iam_policy_document.change : name => document.json },
    { for name, document in data.aws_iam_policy_document.state : name => document.json },
  )
}

resource "aws_iam_policy" "this" {
  for_each = local.documents

  name        = "${var.project}-ci-${each.key}"
  description = "What CI may do: ${each.key}"
  policy      = each.value

  tags = local.tags
}

# Descriptions only: no object, no secret and no parameter is read by this.
data "aws_iam_policy_document" "read" {
  #checkov:skip=CKV_AWS_356:descriptions and listings take no resource
  statement {
    sid = "Describe"
    actions = [
      "acm:DescribeCertificate", "acm:ListCertificates", "acm:ListTagsForCertificate",
      "autoscaling:Describe*",
      "cloudfront:Get*", "cloudfront:List*",
      "cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource",
      "ec2:Describe*",
      "eks:Describe*", "eks:List*",
      "elasticache:Describe*", "elasticache:ListTagsForResource",
      "elasticloadbalancing:Describe*",
      "iam:Get*", "iam:List*",
      "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListKeys", "kms:ListResourceTags",
      "logs:DescribeLogGroups", "logs:ListTagsForResource", "logs:ListTagsLogGroup",
      "rds:Describe*", "rds:ListTagsForResource",
      "route53:Get*", "route53:List*",
      "s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration",
      "s3:GetReplicationConfiguration", "s3:ListAllMyBuckets", "s3:ListBucket",
      "secretsmanager:DescribeSecret", "secretsmanager:ListSecrets",
      "sts:GetCallerIdentity",
      "tag:GetResources",
    ]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "state_read" {
  statement {
    sid       = "ReadTheStates"
    actions   = ["s3:GetObject"]
    resources = ["arn:${local.partition}:s3:::${local.state_bucket}/*"]
  }
}

data "aws_iam_policy_document" "state" {
  for_each = local.states

  statement {
    sid       = "OwnState"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["arn:${local.partition}:s3:::${local.state_bucket}/${each.value}"]
  }

  # The state itself is never deleted, its lock is.
  statement {
    sid       = "OwnLock"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["arn:${local.partition}:s3:::${local.state_bucket}/${each.value}.tflock"]
  }
}

locals {
  state_bucket = "${var.project}-terraform-state-${local.account}"
}

data "aws_iam_policy_document" "change" {
  #checkov:skip=CKV_AWS_111:what has no name of its own is bound by its tag Environment
  #checkov:skip=CKV_AWS_356:what has no name of its own is bound by its tag Environment
  #checkov:skip=CKV_AWS_109:roles are made only below the environment's name, and only for the named services
  for_each = local.changes

  statement {
    sid = "ByName"
    actions = [
      "eks:*",
      "elasticache:*",
      "rds:*",
      "s3:*",
      "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
      "logs:AssociateKmsKey", "logs:TagLogGroup",
    ]
    resources = [for arn in [
      "eks:*:${local.account}:cluster/NAME", "eks:*:${local.account}:cluster/NAME-*",
      "eks:*:${local.account}:nodegroup/NAME*/*", "eks:*:${local.account}:addon/NAME*/*",
      "elasticache:*:${local.account}:*:NAME*",
      "rds:*:${local.account}:*:NAME*",
      "s3:::NAME-*",
      "logs:*:${local.account}:log-group:/aws/eks/NAME*", "logs:*:${local.account}:log-group:/aws/vpc/NAME*",
    ] : replace("arn:${local.partition}:${arn}", "NAME", "${var.project}-${each.value.environment}")]
  }

  statement {
    sid = "Roles"
    actions = [
      "iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
      "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy",
    ]
    resources = ["arn:${local.partition}:iam::${local.account}:role/${var.project}-${each.value.environment}*"]
  }

  statement {
    sid       = "HandRolesTo"
    actions   = ["iam:PassRole"]
    resources = ["arn:${local.partition}:iam::${local.account}:role/${var.project}-${each.value.environment}*"]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["eks.amazonaws.com", "ec2.amazonaws.com", "vpc-flow-logs.amazonaws.com"]
    }
  }

  statement {
    sid       = "ClusterIdentities"
    actions   = ["iam:CreateOpenIDConnectProvider", "iam:DeleteOpenIDConnectProvider", "iam:TagOpenIDConnectProvider"]
    resources = ["arn:${local.partition}:iam::${local.account}:oidc-provider/oidc.eks.*"]
  }

  statement {
    sid       = "ServicesOwnRoles"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["arn:${local.partition}:iam::${local.account}:role/aws-service-role/*"]

    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values   = ["eks.amazonaws.com", "eks-nodegroup.amazonaws.com", "elasticache.amazonaws.com", "rds.amazonaws.com"]
    }
  }

  # Everything that EC2 makes gets the tag in the same request.
  statement {
    sid = "NetworkMake"
    actions = [
      "ec2:AllocateAddress", "ec2:CreateFlowLogs", "ec2:CreateInternetGateway", "ec2:CreateLaunchTemplate",
      "ec2:CreateNatGateway", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet", "ec2:CreateVpc",
    ]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/Environment"
      values   = [each.value.environment]
    }
  }

  # What a new thing lies in must be the environment's own too.
  statement {
    sid     = "NetworkMakeWithin"
    actions = ["ec2:CreateNatGateway", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet", "ec2:CreateFlowLogs"]
    resources = [for kind in ["elastic-ip", "subnet", "vpc"] :
      "arn:${local.partition}:ec2:*:${local.account}:${kind}/*"
    ]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Environment"
      values   = [each.value.environment]
    }
  }

  statement {
    sid       = "NetworkTag"
    actions   = ["ec2:CreateTags"]
    resources = ["arn:${local.partition}:ec2:*:${local.account}:*/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values = [
        "AllocateAddress", "AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "CreateFlowLogs",
        "CreateInternetGateway", "CreateLaunchTemplate", "CreateNatGateway", "CreateRouteTable", "CreateSecurityGroup",
        "CreateSubnet", "CreateVpc",
      ]
    }
  }

  statement {
    sid = "NetworkChange"
    actions = [
      "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroupEgress",
      "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateLaunchTemplateVersion", "ec2:CreateRoute", "ec2:CreateTags",
      "ec2:DeleteFlowLogs", "ec2:DeleteInternetGateway", "ec2:DeleteLaunchTemplate", "ec2:DeleteNatGateway",
      "ec2:DeleteRoute", "ec2:DeleteRouteTable", "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet", "ec2:DeleteTags",
      "ec2:DeleteVpc", "ec2:DetachInternetGateway", "ec2:DisassociateAddress", "ec2:DisassociateRouteTable",
      "ec2:ModifyLaunchTemplate", "ec2:ModifySubnetAttribute", "ec2:ModifyVpcAttribute", "ec2:ReleaseAddress",
      "ec2:ReplaceRoute", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress", "ec2:RunInstances",
    ]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Environment"
      values   = [each.value.environment]
    }
  }

  # A distribution has no name before it is made; its parts cannot be tagged.
  statement {
    sid       = "DistributionMake"
    actions   = ["cloudfront:CreateDistribution", "cloudfront:CreateDistributionWithTags", "cloudfront:TagResource"]
    resources = ["arn:${local.partition}:cloudfront::${local.account}:distribution/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/Environment"
      values   = [each.value.environment]
    }
  }

  statement {
    sid       = "DistributionChange"
    actions   = ["cloudfront:UpdateDistribution", "cloudfront:DeleteDistribution", "cloudfront:TagResource", "cloudfront:UntagResource"]
    resources = ["arn:${local.partition}:cloudfront::${local.account}:distribution/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Environment"
      values   = [each.value.environment]
    }
  }

  statement {
    sid = "DistributionParts"
    actions = [
      "cloudfront:CreateOriginAccessControl", "cloudfront:UpdateOriginAccessControl", "cloudfront:DeleteOriginAccessControl",
      "cloudfront:CreateResponseHeadersPolicy", "cloudfront:UpdateResponseHeadersPolicy",
      "cloudfront:DeleteResponseHeadersPolicy",
    ]
    resources = [
      "arn:${local.partition}:cloudfront::${local.account}:origin-access-control/*",
      "arn:${local.partition}:cloudfront::${local.account}:response-headers-policy/*",
    ]
  }

  # The master password's secret is RDS's own; whoever makes the instance must be able to have it made.
  statement {
    sid       = "DatabasePassword"
    actions   = ["secretsmanager:CreateSecret", "secretsmanager:TagResource"]
    resources = ["arn:${local.partition}:secretsmanager:*:${local.account}:secret:rds!*"]
  }

  dynamic "statement" {
    for_each = each.value.kms ? ["make"] : []

    content {
      sid       = "KeyMake"
      actions   = ["kms:CreateKey", "kms:TagResource"]
      resources = ["*"]

      condition {
        test     = "StringEquals"
        variable = "aws:RequestTag/Environment"
        values   = [each.value.environment]
      }
    }
  }

  dynamic "statement" {
    for_each = each.value.kms ? ["change"] : []

    content {
      sid = "KeyChange"
      actions = [
        "kms:CreateAlias", "kms:CreateGrant", "kms:Decrypt", "kms:DeleteAlias", "kms:EnableKeyRotation", "kms:GenerateDataKey*",
        "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UpdateAlias",
      ]
      resources = ["arn:${local.partition}:kms:*:${local.account}:key/*"]

      condition {
        test     = "StringEquals"
        variable = "aws:ResourceTag/Environment"
        values   = [each.value.environment]
      }
    }
  }

  dynamic "statement" {
    for_each = each.value.kms ? ["alias"] : []

    content {
      sid       = "KeyAlias"
      actions   = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"]
      resources = ["arn:${local.partition}:kms:*:${local.account}:alias/${var.project}-${each.value.environment}"]
    }
  }
}
