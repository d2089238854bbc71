variable "project" {
  description = "Project; the first part of every name."
  type        = string
  default     = "ecochain"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.project))
    error_message = "project must be 2 to 10 lower-case letters and digits, and start with a letter."
  }
}

variable "domain" {
  description = "The domain."
  type        = string
  default     = "ecochain.com"

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "domain must be a domain name in lower case, such as ecochain.com."
  }
}

variable "aliases" {
  description = "Names within the domain that lead to CloudFront, by name: the environments' output cdn."
  type = map(object({
    domain_name = string
    zone_id     = string
  }))
  default = {}
}

variable "names" {
  description = "Other names within the domain, and where they lead, such as api = the load balancer's name."
  type        = map(string)
  default     = {}
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

variable "aws_endpoint_url" {
  description = "Address of an AWS double for every service; null means AWS itself."
  type        = string
  default     = null

  validation {
    condition     = var.aws_endpoint_url == null || can(regex("^https?://[^/]+$", var.aws_endpoint_url))
    error_message = "aws_endpoint_url must be null or an http(s) address without a path, such as http://127.0.0.1:4566."
  }
}
