variable "run_id" {
  description = "The run that makes this environment; part of every name and tag, so that what a killed run left is found."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$", var.run_id))
    error_message = "run_id must be 3 to 32 lower-case letters, digits and hyphens, and start and end without a hyphen."
  }
}

variable "project" {
  description = "Project; the first part of every name."
  type        = string
  default     = "ecochain"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.project))
    error_message = "project must be 2 to 10 lower-case letters and digits, and start with a letter."
  }
}

variable "environment" {
  description = "Environment; the second part of every name."
  type        = string
  default     = "ephemeral"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters and digits, and start with a letter."
  }
}

variable "expires_at" {
  description = "When the reaper may destroy this environment, RFC 3339 in UTC; a tag of every resource."
  type        = string

  validation {
    condition     = can(formatdate("YYYY", var.expires_at)) && endswith(var.expires_at, "Z")
    error_message = "expires_at must be a time such as 2026-01-31T12:00:00Z."
  }
}

variable "account_id" {
  description = "The AWS account that this environment may be in; null allows any. A wrong account ends the plan."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null || can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be null or 12 digits."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "ap-south-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must look like ap-south-1."
  }
}

variable "vpc_cidr" {
  description = "IPv4 range of the VPC."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(tonumber(split("/", var.vpc_cidr)[1]), 0) >= 16 && try(tonumber(split("/", var.vpc_cidr)[1]), 99) <= 24
    error_message = "vpc_cidr must be an IPv4 range from /16 to /24, such as 10.40.0.0/16."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes version of the EKS cluster, major.minor."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.(3[3-9]|[4-9][0-9])$", var.kubernetes_version))
    error_message = "kubernetes_version must be 1.33 or later: EKS ended the support of earlier ones."
  }
}

variable "modules" {
  description = "Which parts are made: vpc, eks, rds, elasticache, s3, cloudfront. eks, rds and elasticache lie in the vpc; cloudfront serves the s3 bucket."
  type        = set(string)
  default     = ["vpc", "eks", "rds", "elasticache", "s3", "cloudfront"]

  validation {
    condition     = length(var.modules) > 0 && length(setsubtract(var.modules, ["vpc", "eks", "rds", "elasticache", "s3", "cloudfront"])) == 0
    error_message = "modules must be some of vpc, eks, rds, elasticache, s3 and cloudfront."
  }

  validation {
    condition     = contains(var.modules, "vpc") || length(setintersection(var.modules, ["eks", "rds", "elasticache"])) == 0
    error_message = "modules must hold vpc: eks, rds and elasticache lie in it."
  }

  validation {
    condition     = contains(var.modules, "s3") || !contains(var.modules, "cloudfront")
    error_message = "modules must hold s3: cloudfront serves its bucket."
  }
}

variable "lifecycle_rules" {
  description = "Whether the bucket has lifecycle rules."
  type        = bool
  default     = true
}

variable "launch_templates" {
  description = "Whether node groups have launch templates. False only against a double, which cannot keep one."
  type        = bool
  default     = true
}

variable "public_access_cidrs" {
  description = "IPv4 ranges that reach the EKS API server: those of the runner that verifies."
  type        = list(string)
  default     = []
}

variable "aws_endpoint_url" {
  description = "Address of an AWS double for every service; null means AWS itself."
  type        = string
  default     = null

  validation {
    condition     = var.aws_endpoint_url == null || can(regex("^https?://[^/]+$", var.aws_endpoint_url))
    error_message = "aws_endpoint_url must be null or an http(s) address without a path, such as http://127.0.0.1:4566."
  }
}
