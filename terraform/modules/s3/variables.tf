variable "bucket" {
  description = "Name of the bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be 3 to 63 lower-case letters, digits and hyphens, and start and end without a hyphen."
  }
}

variable "force_destroy" {
  description = "Whether destroying deletes the bucket with what it holds. False wherever the data matters."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = "Key that encrypts the objects; null means S3's own keys."
  type        = string
  default     = null
}

variable "lifecycle_rules" {
  description = "When superseded versions and unfinished uploads go, and when objects move to infrequent access (null: never), in days; null makes no rule."
  type = object({
    noncurrent_days        = optional(number, 30)
    unfinished_upload_days = optional(number, 7)
    infrequent_access_days = optional(number)
  })
  default = {}

  validation {
    condition     = try(var.lifecycle_rules.noncurrent_days, 1) >= 1 && try(var.lifecycle_rules.unfinished_upload_days, 1) >= 1
    error_message = "lifecycle_rules: noncurrent_days and unfinished_upload_days must be at least 1."
  }

  validation {
    condition     = try(var.lifecycle_rules.infrequent_access_days, null) == null || try(var.lifecycle_rules.infrequent_access_days >= 30, false)
    error_message = "lifecycle_rules: infrequent_access_days must be at least 30, which is S3's own limit."
  }
}

variable "log_bucket" {
  description = "Bucket that gets the access log; null writes none."
  type        = string
  default     = null
}

variable "reader_distribution_arns" {
  description = "CloudFront distributions that may read the objects."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
