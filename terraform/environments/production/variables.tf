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
  default     = "10.1.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(tonumber(split("/", var.vpc_cidr)[1]), 0) >= 16 && try(tonumber(split("/", var.vpc_cidr)[1]), 99) <= 24
    error_message = "vpc_cidr must be an IPv4 range from /16 to /24, such as 10.1.0.0/16."
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

variable "cdn" {
  description = "Names of our own for the distribution, their certificate (in us-east-1), and a web application firewall."
  type = object({
    aliases         = optional(list(string), [])
    certificate_arn = optional(string)
    web_acl_arn     = optional(string)
  })
  default = {}
}

variable "public_access_cidrs" {
  description = "IPv4 ranges that reach the EKS API server from outside; empty leaves it to the VPC."
  type        = list(string)
  default     = []
}

variable "lifecycle_rules" {
  description = "Whether the bucket has lifecycle rules. False only against a double, where the provider would watch them for 50 seconds."
  type        = bool
  default     = true
}

variable "launch_templates" {
  description = "Whether node groups have launch templates. False only against a double, which cannot keep one."
  type        = bool
  default     = true
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
