variable "name" {
  description = "Name of the distribution's parts."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,54}$", var.name))
    error_message = "name must be 3 to 55 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "bucket_domain_name" {
  description = "Regional domain name of the bucket behind it."
  type        = string
}

variable "aliases" {
  description = "Names of our own under which it answers; they need certificate_arn."
  type        = list(string)
  default     = []
}

variable "certificate_arn" {
  description = "Certificate of the aliases, in us-east-1; null means CloudFront's own."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:aws[a-z-]*:acm:us-east-1:", var.certificate_arn))
    error_message = "certificate_arn must be null or an ACM certificate in us-east-1, where CloudFront looks for them."
  }
}

variable "price_class" {
  description = "Which edges serve: PriceClass_100, PriceClass_200 or PriceClass_All. India is in 200."
  type        = string
  default     = "PriceClass_200"

  validation {
    condition     = contains(["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.price_class)
    error_message = "price_class must be PriceClass_100, PriceClass_200 or PriceClass_All."
  }
}

variable "countries" {
  description = "Countries that are served, as ISO 3166 codes; empty means all."
  type        = list(string)
  default     = []
}

variable "cache_policy_id" {
  description = "Cache policy; by default AWS's CachingOptimized."
  type        = string
  default     = "658327ea-f89d-4fab-a63d-7e88639e58f6"
}

variable "web_acl_arn" {
  description = "Web application firewall (WAFv2) in front; null means none."
  type        = string
  default     = null
}

variable "log_bucket_domain_name" {
  description = "Domain name of the bucket that gets the access log; null writes none."
  type        = string
  default     = null
}

variable "wait_for_deployment" {
  description = "Whether applying waits until every edge has the distribution."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
