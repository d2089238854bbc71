variable "name" {
  description = "Name of the cluster and prefix of its roles."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,54}$", var.name))
    error_message = "name must be 3 to 55 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes version of the cluster, major.minor."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.(3[3-9]|[4-9][0-9])$", var.kubernetes_version))
    error_message = "kubernetes_version must be 1.33 or later: EKS ended the support of earlier ones."
  }
}

variable "subnet_ids" {
  description = "Subnets of the control plane's interfaces and of the nodes, in at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name at least two subnets."
  }
}

variable "endpoint_public_access" {
  description = "Whether the API server is reachable from the internet."
  type        = bool
  default     = false
}

variable "node_groups" {
  description = "Node groups by name. Tainted ones take only pods that tolerate the taint; labels let those pods select it."
  type = map(object({
    instance_types = list(string)
    ami_type       = optional(string, "AL2023_x86_64_STANDARD")
    min_size       = number
    desired_size   = number
    max_size       = number
    labels         = optional(map(string), {})
    taints = optional(list(object({
      key    = string
      value  = string
      effect = string
    })), [])
  }))

  validation {
    condition     = length(var.node_groups) > 0
    error_message = "node_groups must hold at least one group."
  }

  validation {
    condition     = alltrue([for group in var.node_groups : 0 <= group.min_size && group.min_size <= group.desired_size && group.desired_size <= group.max_size])
    error_message = "node_groups: each must have 0 <= min_size <= desired_size <= max_size."
  }

  validation {
    condition     = alltrue(flatten([for group in var.node_groups : [for taint in group.taints : contains(["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"], taint.effect)]]))
    error_message = "node_groups: a taint's effect is NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
