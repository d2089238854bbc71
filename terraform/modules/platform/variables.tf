variable "name" {
  description = "Name of the environment's resources: project, environment and, where there are several, the run."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,54}$", var.name))
    error_message = "name must be 3 to 55 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
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

variable "zones" {
  description = "Number of availability zones."
  type        = number

  validation {
    condition     = contains([2, 3], var.zones)
    error_message = "zones must be 2 or 3."
  }
}

variable "vpc_cidr" {
  description = "IPv4 range of the VPC."
  type        = string
}

variable "nat" {
  description = "How private subnets reach the internet: none, single or per_zone."
  type        = string
}

variable "flow_log_days" {
  description = "Days that the VPC's flow logs are kept; null writes none."
  type        = number
  default     = null
}

variable "log_days" {
  description = "Days that the EKS control plane's logs are kept."
  type        = number
  default     = 30
}

variable "kubernetes_version" {
  description = "Kubernetes version of the EKS cluster, major.minor."
  type        = string
}

variable "public_access_cidrs" {
  description = "IPv4 ranges that reach the EKS API server from the internet; empty leaves it to the VPC."
  type        = list(string)
  default     = []
}

variable "launch_templates" {
  description = "Whether node groups have launch templates. False only where a double cannot keep one."
  type        = bool
  default     = true
}

variable "instance_tags" {
  description = "Tags of the nodes' instances and disks, which the provider's default tags do not reach."
  type        = map(string)
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

variable "database" {
  description = "Size of the PostgreSQL instance, and the days that its backups are kept."
  type = object({
    instance_class       = string
    storage_gib          = optional(number, 20)
    max_storage_gib      = optional(number, 0)
    backup_days          = optional(number, 7)
    performance_insights = optional(bool, true)
  })
}

variable "cache" {
  description = "Size of the cache's nodes, replicas beside the primary, and the days that its snapshots are kept."
  type = object({
    node_type     = string
    replicas      = number
    snapshot_days = optional(number, 0)
  })
}

variable "cdn" {
  description = "What the distribution is called, by which certificate (us-east-1), behind which firewall."
  type = object({
    aliases             = optional(list(string), [])
    certificate_arn     = optional(string)
    web_acl_arn         = optional(string)
    wait_for_deployment = optional(bool, true)
  })
  default = {}
}

variable "lifecycle_rules" {
  description = "Days after which superseded versions and unfinished uploads go and objects move to infrequent access; null makes no rule."
  type = object({
    noncurrent_days        = optional(number, 30)
    unfinished_upload_days = optional(number, 7)
    infrequent_access_days = optional(number)
  })
  default = {}
}

variable "multi_az" {
  description = "Whether the database and the cache survive the loss of a zone."
  type        = bool
}

variable "disposable" {
  description = "Whether destroying deletes all data at once. False wherever the data matters."
  type        = bool
}

variable "customer_key" {
  description = "Whether the environment has a KMS key of its own."
  type        = bool
}
