"""OpenTofu does what Terraform does: it validates every root, passes the tests, applies and destroys."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from test_modules import ROOTS, SOURCE

from clients.terraform import PROGRAM_VARIABLE, Program
from clients.terraform_plugins import MIRROR_VARIABLE, USUAL_MIRRORS, cli_config
from core.places import cache
from core.processes import run
from fixtures.provision_drift import drift
from fixtures.provisioning import Provision

# The build has a limit of its own.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900, func_only=True)]

MODULE, VERSION = "github.com/opentofu/opentofu", "1.12.6"
PROVIDER = "hashicorp/aws"


@pytest.fixture(scope="module")
def tofu() -> Path:
    """Give the program: the one on PATH, else built once from its Go module."""
    found = shutil.which("tofu")
    if found is not None:
        return Path(found)
    program = cache() / f"opentofu-{VERSION}" / "tofu"
    with FileLock(cache() / "opentofu.lock"):
        if not program.exists():
            told = run(["go", "mod", "download", "-json", f"{MODULE}@v{VERSION}"], timeout_s=300)
            go = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"}
            released = f"-ldflags=-s -w -X {MODULE}/version.dev=no"
            argv = ["go", "build", "-trimpath", released, "-o", program, "./cmd/tofu"]
            run(argv, timeout_s=800, env=go, cwd=Path(json.loads(told.stdout)["Dir"]))
    return program


@pytest.fixture
def program(tofu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Let the harness find OpenTofu, and OpenTofu the provider.

    The provider of its registry is that of Terraform's. Where this machine has a mirror of the one, it is
    given as one of the other.
    """
    monkeypatch.setenv(PROGRAM_VARIABLE, str(tofu))
    for place in (Path(usual).expanduser() for usual in USUAL_MIRRORS):
        for held in sorted(place.parent.glob(f"{place.name}/registry.terraform.io/{PROVIDER}/*/*_*")):
            # Only the last folder may be a link: OpenTofu walks through the others.
            mirrored = tmp_path / "mirror" / "registry.opentofu.org" / PROVIDER / held.parent.name / held.name
            mirrored.parent.mkdir(parents=True, exist_ok=True)
            if not mirrored.exists():
                mirrored.symlink_to(held)
            monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "mirror"))
    found = Program.find()
    assert found.registry == "registry.opentofu.org"
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a copy of terraform/ without its locks: they have what Terraform's own registry gives."""
    left_out = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl")
    return Path(shutil.copytree(SOURCE, tmp_path / "terraform", ignore=left_out))


@pytest.fixture
def quiet(program: Program, tmp_path: Path) -> dict[str, str]:
    """Give the environment in which it finds the provider and no account."""
    config = cli_config(
        tmp_path / "tofu.rc",
        registry=program.registry,
        provider=PROVIDER,
        cache=cache() / "terraform-plugins",
    )
    given = {"TF_CLI_CONFIG_FILE": str(config)} if config else {}
    return {**given, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "GOGC": "300", "AWS_REGION": "x-y-1"}


@pytest.fixture
def state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give a machine-wide state of this test's own."""
    monkeypatch.setenv("ECOCHAIN_VERIFY_STATE", str(folder / "s"))
    yield
    assert list((folder / "s" / "terraform").glob("run-*")) == []


def test_every_root_validates_and_the_tests_pass(program: Program, tree: Path, quiet: dict[str, str]) -> None:
    """What ships is formatted, valid and tested for OpenTofu as it is for Terraform."""
    formatted = [program.path, "fmt", "-check", "-recursive", tree]
    assert run(formatted, timeout_s=60, env=quiet, check=False).stdout == ""
    for root in ROOTS:
        run([program.path, "init", "-backend=false"], timeout_s=120, env=quiet, cwd=tree / root)
        run([program.path, "validate"], timeout_s=120, env=quiet, cwd=tree / root)
    # Not validated by itself: that validates anew what each of the tests plans, and so does `test`.
    run([program.path, "init", "-backend=false"], timeout_s=120, env=quiet, cwd=tree / "tests")
    done = run([program.path, "test"], timeout_s=400, env=quiet, cwd=tree / "tests", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("state")
def test_an_environment_lives_by_opentofu(program: Program) -> None:
    """Applied, compared, destroyed, with the state to show who did it."""
    provision = Provision(run_id="run-o", modules=("vpc", "s3"))
    try:
        provision.apply()
        held = json.loads((provision.folder / "terraform.tfstate").read_text())
        assert held["terraform_version"] == ".".join(map(str, program.version))
        assert drift("run-o") == []
    finally:
        provision.destroy()
