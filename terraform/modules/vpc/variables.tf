variable "name" {
  description = "Prefix of every name in the network."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,54}$", var.name))
    error_message = "name must be 3 to 55 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "cidr" {
  description = "IPv4 range of the VPC; its subnets are cut from it, 4 bits smaller each."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(tonumber(split("/", var.cidr)[1]), 0) >= 16 && try(tonumber(split("/", var.cidr)[1]), 99) <= 24
    error_message = "cidr must be an IPv4 range from /16 to /24, such as 10.20.0.0/16."
  }
}

variable "availability_zones" {
  description = "Availability zones; each gets one public and one private subnet. EKS needs two."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2 && length(var.availability_zones) <= 6 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones must name 2 to 6 different zones."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
