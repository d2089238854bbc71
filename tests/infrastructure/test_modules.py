"""The Terraform that ships passes its own tests, validates, and has no weak setting without a reason."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from clients.policy_scan import scan
from clients.terraform import Program
from clients.terraform_plugins import cli_config
from core.places import cache, checkout
from core.processes import run

SOURCE = checkout() / "terraform"
ROOTS = sorted(
    str(file.parent.relative_to(SOURCE))
    for part in ("environments", "global")
    for file in (SOURCE / part).glob("*/main.tf")
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a copy of terraform/: Terraform writes beside what it reads."""
    return Path(shutil.copytree(SOURCE, tmp_path / "terraform", ignore=shutil.ignore_patterns(".terraform")))


@pytest.fixture
def quiet(tmp_path: Path) -> Mapping[str, str]:
    """Give the environment in which Terraform finds its provider and no account."""
    program = Program.find()
    config = cli_config(
        tmp_path / "terraform.rc",
        registry=program.registry,
        provider="hashicorp/aws",
        cache=cache() / "terraform-plugins",
    )
    given = {"TF_CLI_CONFIG_FILE": str(config)} if config else {}
    return {**given, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "GOGC": "300", "AWS_REGION": "x-y-1"}


def test_terraforms_own_tests_pass(tree: Path, quiet: Mapping[str, str]) -> None:
    """Every module and environment plans as its tests say, against a mocked provider."""
    terraform, folder = Program.find().path, tree / "tests"
    run([terraform, "init", "-input=false", "-backend=false"], timeout_s=120, env=quiet, cwd=folder)
    done = run([terraform, "test", "-json"], timeout_s=240, env=quiet, cwd=folder, check=False)
    runs = {
        line["@testrun"]: line["test_run"]["status"]
        for line in map(json.loads, done.stdout.splitlines())
        if line["type"] == "test_run" and line["test_run"].get("progress") == "complete"
    }
    assert {name: status for name, status in runs.items() if status != "pass"} == {}, done.stdout
    written = [
        name
        for file in folder.glob("*.tftest.hcl")
        for name in re.findall(r'^run "(\w+)"', file.read_text(), re.MULTILINE)
    ]
    assert sorted(runs) == sorted(written)


def test_weak_settings_are_fixed_or_waived_with_a_reason(tree: Path) -> None:
    """The policy scan finds a planted bucket without any guard, and nothing else without a reason."""
    (tree / "planted").mkdir()
    (tree / "planted" / "main.tf").write_text('resource "aws_s3_bucket" "open" {\n  bucket = "open"\n}\n')
    found = scan(tree, progress=print)
    planted = {finding.check for finding in found.failed if finding.resource == "aws_s3_bucket.open"}
    assert {"CKV_AWS_21", "CKV2_AWS_6"} <= planted
    assert [str(finding) for finding in found.failed if finding.resource != "aws_s3_bucket.open"] == []
    assert [str(finding) for finding in found.waived if not (finding.reason or "").strip()] == []


@pytest.mark.long
@pytest.mark.parametrize("root", ROOTS)
def test_each_root_validates_by_itself(tree: Path, quiet: Mapping[str, str], root: str) -> None:
    """Each root initialises without its backend, from its own lock file, and validates."""
    terraform, folder = Program.find().path, tree / root
    run(
        [terraform, "init", "-input=false", "-backend=false", "-lockfile=readonly"],
        timeout_s=120,
        env=quiet,
        cwd=folder,
    )
    run([terraform, "validate"], timeout_s=120, env=quiet, cwd=folder)


@pytest.mark.parametrize("name", ["staging", "production"])
def test_state_that_stays_is_remote_and_locked(name: str) -> None:
    """Two runs cannot change a lasting environment at once, and its state is no file on a runner."""
    text = (SOURCE / "environments" / name / "versions.tf").read_text()
    backend = re.search(r'backend "s3" \{\n(.*?)\n  \}', text, re.DOTALL)
    assert backend is not None
    assert re.search(r"use_lockfile += true", backend[1])
    assert re.search(r"encrypt += true", backend[1])


def test_every_root_locks_the_same_provider() -> None:
    """What was tested in the lab is, byte for byte, what plans production."""
    locks = {root: (SOURCE / root / ".terraform.lock.hcl").read_text() for root in [*ROOTS, "tests"]}
    assert len(set(locks.values())) == 1, sorted(locks)


def test_only_atlas_needs_its_provider() -> None:
    """The other roots plan where MongoDB Atlas' provider cannot be had."""
    needing = {
        file.relative_to(SOURCE).parts[:2]
        for file in SOURCE.rglob("*.tf")
        if "mongodbatlas" in file.read_text()
    }
    assert needing == {("atlas", "main.tf"), ("atlas", "versions.tf"), ("modules", "mongodb_atlas")}
