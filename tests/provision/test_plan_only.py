"""An environment that the harness may only read is planned against its own state, and nothing is touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from account import NUMBER, REGION, Account

from clients.terraform import Program, Terraform
from clients.terraform_plugins import cli_config
from core.errors import RefusedError
from core.places import cache, checkout
from fixtures.provision_plan import plan
from fixtures.settings import load_settings
from fixtures.settings_model import Aws, Settings

ROOT = """
terraform {
  required_version = ">= 1.10"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
  backend "s3" {
    key          = "standing.tfstate"
    use_lockfile = true
  }
}
provider "aws" {
  region                      = var.region
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}
resource "aws_vpc" "this" {
  cidr_block = "10.77.0.0/16"
  tags       = { Name = "standing" }
}
"""
VARIABLES = """
variable "region" {
  type = string
}
variable "aws_endpoint_url" {
  type    = string
  default = null
}
"""


def settings(**changes: object) -> Settings:
    given = {
        "target": "account",
        "accounts": (NUMBER,),
        "regions": (REGION,),
        "may": "plan",
        "state_bucket": "states",
    }
    production = load_settings("production", cluster_needed=False)
    aws = Aws.model_validate({**given, **changes})
    environment = production.environment.model_copy(update={"provision": "standing"})
    return production.model_copy(update={"aws": aws, "environment": environment})


@pytest.fixture
def source(tmp_path: Path, account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a configuration with a root whose state lies in a bucket."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.double.endpoint_url)
    root = tmp_path / "source" / "environments" / "standing"
    root.mkdir(parents=True)
    (tmp_path / "source" / "modules").mkdir()
    (root / "main.tf").write_text(ROOT)
    (root / "variables.tf").write_text(VARIABLES)
    lock = checkout() / "terraform/environments/lab/.terraform.lock.hcl"
    (root / lock.name).write_text(lock.read_text())
    return tmp_path / "source"


def test_what_is_not_said_of_the_state_is_refused(source: Path) -> None:
    """Without a bucket, with a double, or with another account nothing is planned."""
    with pytest.raises(RefusedError, match=r"expected aws\.state_bucket"):
        plan(settings(state_bucket=None), source=source)
    with pytest.raises(RefusedError, match=r"expected aws\.target = account to plan, got a double"):
        plan(settings(target="double"), source=source)
    with pytest.raises(RefusedError, match=f"AWS account {NUMBER}: not on the list"):
        plan(settings(accounts=("123456789012",)), source=source)


@pytest.mark.long
def test_drift_is_named_and_nothing_is_changed_or_locked(
    account: Account, source: Path, tmp_path: Path
) -> None:
    """As applied there is no change; after one behind Terraform's back it is named, and stays as it is."""
    s3, ec2 = account.aws.client("s3"), account.aws.client("ec2")
    s3.create_bucket(Bucket="states")
    operators(account, source, tmp_path / "operators")
    assert plan(settings(), source=source).changes == ()
    [vpc] = [added.partition(" ")[2] for added in account.added() if added.startswith("vpc ")]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": "changed"}])
    before = account.added()
    assert plan(settings(), source=source).changes == ("aws_vpc.this: update",)
    tags = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"]
    assert tags == [{"Key": "Name", "Value": "changed"}]
    objects = [one["Key"] for one in s3.list_objects_v2(Bucket="states")["Contents"]]
    assert objects == ["standing.tfstate"]
    assert account.added() == before
    s3.delete_object(Bucket="states", Key="standing.tfstate")
    s3.delete_bucket(Bucket="states")
    ec2.delete_vpc(VpcId=vpc)


def operators(account: Account, source: Path, folder: Path) -> None:
    """Apply it as those do whose environment it is."""
    folder.mkdir()
    program = Program.find()
    config = cli_config(
        folder / "terraform.rc",
        registry=program.registry,
        provider="hashicorp/aws",
        cache=cache() / "terraform-plugins",
    )
    terraform = Terraform(
        program=program,
        folder=folder,
        environment="standing",
        cli_config=config,
        credentials={
            "AWS_ACCESS_KEY_ID": "operators",
            "AWS_SECRET_ACCESS_KEY": "operators",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": account.double.endpoint_url,
        },
    )
    terraform.prepare(source, {"region": REGION, "aws_endpoint_url": account.double.endpoint_url})
    skipped = ("credentials_validation", "region_validation", "requesting_account_id", "metadata_api_check")
    backend = {
        "bucket": "states",
        "region": REGION,
        "use_path_style": "true",
        **{f"skip_{what}": "true" for what in skipped},
    }
    terraform.init(timeout_s=60, backend=backend)
    terraform.apply(timeout_s=120)
