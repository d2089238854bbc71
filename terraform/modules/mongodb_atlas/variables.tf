variable "name" {
  description = "Name of the cluster."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,54}$", var.name))
    error_message = "name must be 3 to 55 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "project_id" {
  description = "Atlas project that holds the cluster."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{24}$", var.project_id))
    error_message = "project_id must be 24 hexadecimal digits."
  }
}

variable "mongodb_version" {
  description = "Major version of MongoDB."
  type        = string
  default     = "8.0"

  validation {
    condition     = contains(["7.0", "8.0"], var.mongodb_version)
    error_message = "mongodb_version must be 7.0 or 8.0: 6.0 has reached its end of life."
  }
}

variable "instance_size" {
  description = "Size of the nodes; M10 is the smallest with backups and peering."
  type        = string
  default     = "M10"

  validation {
    condition     = can(regex("^M([1-9][0-9]|[1-9][0-9]{2})$", var.instance_size))
    error_message = "instance_size must be M10 or larger: smaller ones have neither backups nor peering."
  }
}

variable "backup_days" {
  description = "Days that each daily snapshot is kept."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_days >= 7
    error_message = "backup_days must be at least 7, which is what is promised."
  }
}

variable "point_in_time_days" {
  description = "Days back to any second of which data can be restored; 0 means snapshots only."
  type        = number
  default     = 0

  validation {
    condition     = var.point_in_time_days >= 0 && var.point_in_time_days <= 7
    error_message = "point_in_time_days must be 0 to 7."
  }
}

variable "atlas_cidr" {
  description = "IPv4 range of Atlas' side of the peering; it must not meet the VPC's."
  type        = string
  default     = "192.168.248.0/21"

  validation {
    condition     = can(cidrnetmask(var.atlas_cidr)) && try(tonumber(split("/", var.atlas_cidr)[1]), 0) >= 21 && try(tonumber(split("/", var.atlas_cidr)[1]), 99) <= 24
    error_message = "atlas_cidr must be an IPv4 range from /21 to /24."
  }
}

variable "disposable" {
  description = "Whether destroying deletes the cluster and its backups at once."
  type        = bool
  default     = false
}

variable "region" {
  description = "AWS region of cluster and VPC."
  type        = string
  default     = "ap-south-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must look like ap-south-1."
  }
}

variable "account_id" {
  description = "AWS account of the VPC."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "vpc_id" {
  description = "VPC that reaches the cluster: the environment's output vpc_id."
  type        = string
}

variable "vpc_cidr" {
  description = "IPv4 range of that VPC: the environment's output vpc_cidr."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && !endswith(var.vpc_cidr, "/0")
    error_message = "vpc_cidr must be an IPv4 range, and not the whole internet."
  }
}

variable "route_table_ids" {
  description = "Route tables of the private subnets: the environment's output private_route_table_ids."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
