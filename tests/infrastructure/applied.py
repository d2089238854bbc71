"""Roots of Terraform applied to a double by the real provider, and the suite run against what came of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import standing
from filelock import FileLock
from variants import Variant

from clients.terraform import Program, Terraform
from clients.terraform_plugins import cli_config
from core.places import cache, checkout
from lab.aws_double import ACCESS_KEY, REGION, SECRET_KEY, AwsDouble

# A root of variants' own: one provider for all of them, and a second one that tags nothing.
_ROOT = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.100" }
  }
  backend "local" {}
}

provider "aws" {
  region            = "REGION"
  s3_use_path_style = true

  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true

  default_tags {
    tags = { Project = "ecochain", Environment = "production", ManagedBy = "terraform" }
  }
}

provider "aws" {
  alias             = "untagged"
  region            = "REGION"
  s3_use_path_style = true

  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""
# Against the double: its node groups forget their templates, and the provider would watch each rule for 50 s.
_GIVEN = {"launch_templates": False}


def terraform(
    double: AwsDouble, folder: Path, root: str, keys: tuple[str, str] = (ACCESS_KEY, SECRET_KEY)
) -> Terraform:
    """Return Terraform for a root below environments/ of `folder`/work, against `double`, with these keys."""
    program = Program.find()
    config = cli_config(
        folder / "terraform.rc",
        registry=program.registry,
        provider="hashicorp/aws",
        cache=cache() / "terraform-plugins",
    )
    return Terraform(
        program=program,
        folder=folder,
        environment=root,
        cli_config=config,
        credentials={
            "AWS_ACCESS_KEY_ID": keys[0],
            "AWS_SECRET_ACCESS_KEY": keys[1],
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": double.endpoint_url,
            # The provider's waiters wait side by side: they are most of the time and none of the work.
            "TF_CLI_ARGS_apply": "-parallelism=200",
        },
    )


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What was applied, by variant: as `Environment.provisioned` has it."""

    provisioned: Mapping[str, Mapping[str, Any]]
    terraform: Terraform


def outcomes(
    provisioned: Mapping[str, Mapping[str, Any]], folder: Path, tests: Sequence[str] = ()
) -> dict[str, dict[str, str]]:
    """Run suites/infrastructure against each of `provisioned`; return what became of every test, by name."""
    file = folder / "standing.json"
    file.write_text(json.dumps(provisioned))
    suite = checkout() / "suites" / "infrastructure"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:ecochain_verify", "-p", standing.__name__]
        + ["-p", "no:allure_pytest", "-p", "no:cacheprovider", "--ignore", str(suite / "test_outputs.py")]
        + [str(suite / test) for test in tests or ("",)],
        cwd=checkout(),
        env={**os.environ, standing.VARIABLE: str(file), "PYTHONPATH": str(Path(standing.__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    (folder / "suite.log").write_text(done.stdout)
    return dict(json.loads(standing.outcomes_file(file).read_text()))


def apply_root(
    double: AwsDouble,
    folder: Path,
    root: str,
    variables: Mapping[str, object],
    keys: tuple[str, str] = (ACCESS_KEY, SECRET_KEY),
) -> Terraform:
    """Apply a root that ships (environments/… or global/…) to `double`, its state in `folder`."""
    tree, name = folder / "source", root.replace("/", "-")
    shutil.copytree(checkout() / "terraform" / root, tree / "environments" / name, dirs_exist_ok=True)
    shutil.copytree(checkout() / "terraform" / "modules", tree / "modules", dirs_exist_ok=True)
    versions = tree / "environments" / name / "versions.tf"
    local = re.sub(r'backend "s3" \{.*?\n  \}', 'backend "local" {}', versions.read_text(), flags=re.DOTALL)
    versions.write_text(local)
    made = terraform(double, folder, name, keys)
    made.prepare(tree, {**variables, "aws_endpoint_url": double.endpoint_url})
    with FileLock(cache() / "terraform-init.lock"):
        made.init(timeout_s=60)
    made.apply(timeout_s=300)
    return made


def apply_variants(
    double: AwsDouble, folder: Path, variants: Sequence[Variant], *, timeout_s: float
) -> Applied:
    """Apply production's root once for each variant, all in one run of Terraform, side by side in one double.

    Each lies under a name of its own with the parts that its test needs; the provider's waiters, which take
    most of the time, then wait side by side.
    """
    tree = folder / "source"
    root = tree / "environments" / "variants"
    root.mkdir(parents=True)
    (tree / "modules").mkdir()
    calls = [_ROOT.replace("REGION", REGION)]
    for variant in variants:
        _copy(variant, root / variant.name)
        alias = "  providers = { aws = aws.untagged }\n" if variant.untagged else ""
        given = "".join(
            f"  {key} = {json.dumps(value)}\n"
            for key, value in {**_GIVEN, "lifecycle_rules": variant.lifecycle, "region": REGION}.items()
        )
        source = f'  source = "./{variant.name}/environments/production"\n'
        calls.append(f'module "{variant.name}" {{\n{source}{alias}{given}}}\n')
        calls.append(f'output "{variant.name}" {{\n  value = module.{variant.name}\n}}\n')
    (root / "main.tf").write_text("\n".join(calls))
    shutil.copy(checkout() / "terraform/environments/lab/.terraform.lock.hcl", root)
    made = terraform(double, folder, "variants")
    made.prepare(tree, {})
    with FileLock(cache() / "terraform-init.lock"):
        made.init(timeout_s=60)
    made.apply(timeout_s=timeout_s)
    outputs = made.outputs()
    return Applied(
        provisioned={
            variant.name: {
                "endpoint_url": double.endpoint_url,
                "region": REGION,
                "run_id": None,
                "environment": "production",
                "outputs": outputs[variant.name],
            }
            for variant in variants
        },
        terraform=made,
    )


def _copy(variant: Variant, target: Path) -> None:
    """Copy modules and production's root, without provider and backend, with the variant's change made."""
    source = checkout() / "terraform"
    shutil.copytree(source / "modules", target / "modules", ignore=shutil.ignore_patterns("mongodb_atlas"))
    place = target / "environments" / "production"
    shutil.copytree(source / "environments" / "production", place, ignore=shutil.ignore_patterns(".*"))
    (place / "providers.tf").unlink()
    versions = place / "versions.tf"
    versions.write_text(re.sub(r'  backend "s3" \{.*?\n  \}\n', "", versions.read_text(), flags=re.DOTALL))
    parts = f"zones = 3\n  modules = {json.dumps(sorted(variant.modules))}\n"
    main = place / "main.tf"
    text = re.sub(r"zones +=.*\n", parts, main.read_text())
    main.write_text(text.replace('"ecochain-production"', f'"ecochain-production-{variant.short}"'))
    for file, old, new in variant.changes:
        path = target / file
        assert path.read_text().count(old) == 1, f"{variant.name}: {file} no longer has {old!r} once"
        path.write_text(path.read_text().replace(old, new))
