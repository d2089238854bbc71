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

variable "public_access_cidrs" {
  description = "IPv4 ranges that reach the API server from the internet; empty leaves it to the VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : can(cidrnetmask(cidr)) && !endswith(cidr, "/0")])
    error_message = "public_access_cidrs must be IPv4 ranges, and not the whole internet."
  }
}

variable "log_days" {
  description = "Days that the control plane's logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_days)
    error_message = "log_days must be a retention that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}

variable "launch_templates" {
  description = "Whether each node group has a launch template: encrypted disks, tags on instances, no metadata for pods. False only where a double cannot keep one."
  type        = bool
  default     = true
}

variable "instance_tags" {
  description = "Tags of instances, volumes and interfaces beside `tags`: the provider's default tags do not reach them."
  type        = map(string)
  default     = {}
}

variable "addons" {
  description = "Add-ons by name. service_account (NAMESPACE:NAME) and policy (an AWS managed policy) give one a role."
  type = map(object({
    version         = optional(string)
    service_account = optional(string)
    policy          = optional(string)
  }))
  default = {
    vpc-cni    = {}
    kube-proxy = {}
    coredns    = {}
    aws-ebs-csi-driver = {
      service_account = "kube-system:ebs-csi-controller-sa"
      policy          = "service-role/AmazonEBSCSIDriverPolicy"
    }
  }

  validation {
    condition     = alltrue([for addon in var.addons : (addon.service_account == null) == (addon.policy == null)])
    error_message = "addons: service_account and policy go together."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts Kubernetes' Secrets, the nodes' disks and the control plane's logs; null means AWS's own."
  type        = string
  default     = null
}

variable "node_groups" {
  description = "Node groups by name. Tainted ones take only pods that tolerate the taint; labels let those pods select it."
  type = map(object({
    instance_types = list(string)
    ami_type       = optional(string, "AL2023_x86_64_STANDARD")
    capacity_type  = optional(string, "ON_DEMAND")
    disk_gib       = optional(number, 40)
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
