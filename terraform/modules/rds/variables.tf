variable "name" {
  description = "Identifier of the instance and prefix of what belongs to it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,54}$", var.name)) && !can(regex("--|-$", var.name))
    error_message = "name must be 3 to 55 lower-case letters, digits and single hyphens, start with a letter and not end with a hyphen."
  }
}

variable "vpc_id" {
  description = "VPC of the instance."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the instance, in at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name at least two subnets."
  }
}

variable "client_cidrs" {
  description = "IPv4 ranges that may connect; never the internet."
  type        = list(string)

  validation {
    condition     = alltrue([for cidr in var.client_cidrs : can(cidrnetmask(cidr)) && !endswith(cidr, "/0")])
    error_message = "client_cidrs must be IPv4 ranges, and not the whole internet."
  }
}

variable "engine_version" {
  description = "PostgreSQL version, major or major.minor."
  type        = string
  default     = "17"

  validation {
    condition     = can(regex("^1[6-9](\\.[0-9]+)?$", var.engine_version))
    error_message = "engine_version must be PostgreSQL 16 or later, such as 17 or 17.6."
  }
}

variable "instance_class" {
  description = "Size of the instance."
  type        = string

  validation {
    condition     = startswith(var.instance_class, "db.")
    error_message = "instance_class must start with db., such as db.t4g.medium."
  }
}

variable "allocated_storage_gib" {
  description = "Storage at the start, in GiB."
  type        = number
  default     = 20

  validation {
    condition     = var.allocated_storage_gib >= 20
    error_message = "allocated_storage_gib must be at least 20."
  }
}

variable "max_allocated_storage_gib" {
  description = "Storage up to which it grows by itself, in GiB; 0 means it does not."
  type        = number
  default     = 0
}

variable "database" {
  description = "Name of the first database."
  type        = string
  default     = "ecochain"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.database))
    error_message = "database must be 1 to 63 lower-case letters, digits and underscores, and start with a letter."
  }
}

variable "multi_az" {
  description = "Whether a standby in another zone takes over."
  type        = bool
}

variable "backup_days" {
  description = "Days that automated backups are kept."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days must be 1 to 35: without a backup there is no restore."
  }
}

variable "disposable" {
  description = "Whether destroying deletes the data at once, without a final snapshot. False wherever the data matters."
  type        = bool
  default     = false
}

variable "performance_insights" {
  description = "Whether Performance Insights is on; the smallest instances do not have it."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Key that encrypts storage; null means the account's default key for RDS."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
