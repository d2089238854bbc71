variable "name" {
  description = "Identifier of the replication group and prefix of what belongs to it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,39}$", var.name)) && !can(regex("--|-$", var.name))
    error_message = "name must be 3 to 40 lower-case letters, digits and single hyphens, start with a letter and not end with a hyphen."
  }
}

variable "vpc_id" {
  description = "VPC of the nodes."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the nodes, in at least two zones."
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

variable "engine" {
  description = "Engine: valkey or redis."
  type        = string
  default     = "valkey"

  validation {
    condition     = contains(["valkey", "redis"], var.engine)
    error_message = "engine must be valkey or redis."
  }
}

variable "engine_version" {
  description = "Version of the engine, major.minor."
  type        = string
  default     = "8.0"

  validation {
    condition     = can(regex("^[7-9]\\.[0-9]$", var.engine_version))
    error_message = "engine_version must be 7.0 or later, such as 8.0."
  }
}

variable "node_type" {
  description = "Size of the nodes."
  type        = string

  validation {
    condition     = startswith(var.node_type, "cache.")
    error_message = "node_type must start with cache., such as cache.t4g.small."
  }
}

variable "replicas" {
  description = "Replicas beside the primary; one takes over when the primary fails."
  type        = number

  validation {
    condition     = var.replicas >= 0 && var.replicas <= 5
    error_message = "replicas must be 0 to 5."
  }
}

variable "multi_az" {
  description = "Whether primary and replicas lie in different zones."
  type        = bool
}

variable "snapshot_days" {
  description = "Days that daily snapshots are kept; 0 makes none."
  type        = number
  default     = 0

  validation {
    condition     = var.snapshot_days >= 0 && var.snapshot_days <= 35
    error_message = "snapshot_days must be 0 to 35."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the data; null means ElastiCache's own."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
