"""A root configuration that is applied in seconds: a network of two parts and a bucket that waits for it."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.places import checkout

ENVIRONMENT = "small"
RESOURCES = 4

_MAIN = """
locals {
  name = "${var.project}-${var.environment}-${var.run_id}"
}

provider "aws" {
  region                      = var.region
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true

  default_tags {
    tags = { "ecochain.dev/run" = var.run_id }
  }
}

resource "aws_vpc" "this" {
  cidr_block = var.vpc_cidr
  tags       = { Name = local.name }
}

resource "aws_subnet" "this" {
  for_each = toset(["1", "2"])

  vpc_id     = aws_vpc.this.id
  cidr_block = cidrsubnet(var.vpc_cidr, 4, each.key)
  tags       = { Name = "${local.name}-${each.key}" }
}

resource "aws_s3_bucket" "this" {
  bucket        = "${local.name}-storage"
  force_destroy = true

  depends_on = [aws_subnet.this]
}

output "service_environment" {
  description = "What services get."
  value       = { STORAGE_BUCKET = aws_s3_bucket.this.id }
}
"""


def write(folder: Path) -> Path:
    """Write the root, with the lab's variables, versions and lock file, under `folder`; return that."""
    root = folder / "environments" / ENVIRONMENT
    root.mkdir(parents=True)
    (folder / "modules").mkdir()
    lab = checkout() / "terraform" / "environments" / "lab"
    for name in ("variables.tf", "versions.tf", ".terraform.lock.hcl"):
        shutil.copy(lab / name, root)
    (root / "main.tf").write_text(_MAIN)
    return folder
