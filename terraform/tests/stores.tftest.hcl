mock_provider "aws" {
  mock_resource "aws_eks_cluster" {
    defaults = {
      identity = [{ oidc = [{ issuer = "https://oidc.eks.ap-south-1.amazonaws.com/id/0123456789ABCDEF" }] }]
    }
  }

  # OpenTofu makes computed values up while it plans, and the provider looks at what they look like.
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:ap-south-1:000000000000:log-group:mocked" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::000000000000:policy/mocked" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::000000000000:role/mocked" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:ap-south-1:000000000000:key/00000000-0000-0000-0000-000000000000" }
  }

  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "000000000000" }
  }

  mock_data "aws_region" {
    defaults = { name = "ap-south-1" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  vpc_id       = "vpc-0"
  subnet_ids   = ["subnet-a", "subnet-b"]
  client_cidrs = ["10.9.0.0/16"]
}

run "the_password_is_known_to_aws_alone" {
  command = plan
  module { source = "../modules/rds" }
  variables {
    name           = "ecochain-test-db"
    instance_class = "db.t4g.micro"
    multi_az       = true
  }

  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null
    error_message = "RDS makes the password and keeps it; Terraform never sees it."
  }

  assert {
    condition     = aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.backup_retention_period == 7
    error_message = "Unless it is disposable, the data is protected and kept."
  }
}

run "thrown_away_with_the_run" {
  command = plan
  module { source = "../modules/rds" }
  variables {
    name           = "ecochain-test-db"
    instance_class = "db.t4g.micro"
    multi_az       = false
    disposable     = true
  }

  assert {
    condition     = !aws_db_instance.this.deletion_protection && aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.delete_automated_backups
    error_message = "A disposable database goes at once and leaves no snapshot."
  }
}

run "the_internet_is_no_client" {
  command = plan
  module { source = "../modules/rds" }
  variables {
    name           = "ecochain-test-db"
    instance_class = "db.t4g.micro"
    multi_az       = false
    client_cidrs   = ["0.0.0.0/0"]
  }
  expect_failures = [var.client_cidrs]
}

run "no_backups_are_refused" {
  command = plan
  module { source = "../modules/rds" }
  variables {
    name           = "ecochain-test-db"
    instance_class = "db.t4g.micro"
    multi_az       = false
    backup_days    = 0
  }
  expect_failures = [var.backup_days]
}

run "a_zone_cannot_be_survived_alone" {
  command = plan
  module { source = "../modules/elasticache" }
  variables {
    name      = "ecochain-test-redis"
    node_type = "cache.t4g.micro"
    replicas  = 0
    multi_az  = true
  }
  expect_failures = [aws_elasticache_replication_group.this]
}

run "a_name_too_long_for_elasticache" {
  command = plan
  module { source = "../modules/elasticache" }
  variables {
    name      = "ecochain-ephemeral-0123456789012345-redis"
    node_type = "cache.t4g.micro"
    replicas  = 0
    multi_az  = false
  }
  expect_failures = [var.name]
}
