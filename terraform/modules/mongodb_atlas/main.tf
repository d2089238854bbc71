# A MongoDB Atlas cluster: backed up daily, reached over a peering with the environment's VPC and by TLS 1.2 or later.
#
# The document's module (mongodb/mongodbatlas/mongodbatlas with provider_name, vpc_peering …) has no such inputs; these
# are the provider's own resources, in the form that they have from its version 2 on.

resource "mongodbatlas_advanced_cluster" "this" {
  project_id             = var.project_id
  name                   = var.name
  cluster_type           = "REPLICASET"
  mongo_db_major_version = var.mongodb_version
  backup_enabled         = true
  pit_enabled            = var.point_in_time_days > 0

  # Atlas itself refuses to delete a protected cluster.
  termination_protection_enabled = !var.disposable
  retain_backups_enabled         = !var.disposable

  replication_specs = [{
    region_configs = [{
      provider_name = "AWS"
      region_name   = local.region
      priority      = 7

      electable_specs = {
        instance_size = var.instance_size
        node_count    = 3
      }

      auto_scaling = {
        disk_gb_enabled = true
      }
    }]
  }]

  advanced_configuration = {
    minimum_enabled_tls_protocol = "TLS1_2"
    javascript_enabled           = false
  }

  tags = var.tags
}

locals {
  # Atlas writes ap-south-1 as AP_SOUTH_1.
  region = upper(replace(var.region, "-", "_"))
}

# "Daily backups, seven days": a snapshot a day, each kept for as many days as promised.
resource "mongodbatlas_cloud_backup_schedule" "this" {
  project_id   = var.project_id
  cluster_name = mongodbatlas_advanced_cluster.this.name

  reference_hour_of_day    = 20
  reference_minute_of_hour = 0
  restore_window_days      = var.point_in_time_days > 0 ? var.point_in_time_days : null

  policy_item_daily {
    frequency_interval = 1
    retention_unit     = "days"
    retention_value    = var.backup_days
  }
}

resource "mongodbatlas_network_container" "this" {
  project_id       = var.project_id
  provider_name    = "AWS"
  region_name      = local.region
  atlas_cidr_block = var.atlas_cidr
}

resource "mongodbatlas_network_peering" "this" {
  project_id             = var.project_id
  container_id           = mongodbatlas_network_container.this.container_id
  provider_name          = "AWS"
  accepter_region_name   = var.region
  aws_account_id         = var.account_id
  vpc_id                 = var.vpc_id
  route_table_cidr_block = var.vpc_cidr
}

resource "aws_vpc_peering_connection_accepter" "this" {
  vpc_peering_connection_id = mongodbatlas_network_peering.this.connection_id
  auto_accept               = true

  tags = merge(var.tags, { Name = "${var.name}-atlas" })
}

resource "aws_route" "atlas" {
  for_each = toset(var.route_table_ids)

  route_table_id            = each.key
  destination_cidr_block    = var.atlas_cidr
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
}

# Nobody else: the VPC's own range, and never the internet.
resource "mongodbatlas_project_ip_access_list" "this" {
  project_id = var.project_id
  cidr_block = var.vpc_cidr
  comment    = "The VPC of ${var.name}"

  depends_on = [mongodbatlas_network_peering.this]
}
