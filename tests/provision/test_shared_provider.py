"""A provider that is started once for several steps: only the locked one, and gone afterwards."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clients.marked import marked
from clients.terraform import MARK as TERRAFORM_MARK
from clients.terraform import Program, Terraform
from clients.terraform_provider import MARK, end_leftovers, locked_program, serving
from core.errors import CommandError

REGISTRY, PROVIDER = "registry.terraform.io", "hashicorp/aws"
NAME = f"{REGISTRY}/{PROVIDER}"
# As the provider's -debug does: the address under the name of its own registry, then wait.
SERVES = f"""#!{sys.executable}
import os, time
print("Provider started. To attach Terraform CLI:", flush=True)
print("\\tTF_REATTACH_PROVIDERS='{{\\"{NAME}\\":{{\\"Pid\\":%d}}}}'" % os.getpid(), flush=True)
with open("environ", "w") as file:
    file.write("\\n".join(os.environ))
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the provider write into no checkout."""
    monkeypatch.chdir(tmp_path)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o700)
    return path


def mirrored(folder: Path, text: str = SERVES) -> Path:
    return program(folder / NAME / "5.1.0/linux_amd64/terraform-provider-aws_v5.1.0_x5", text)


def checksum(name: str, text: str) -> str:
    line = f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n"
    return f"h1:{base64.b64encode(hashlib.sha256(line.encode()).digest()).decode()}"


def lock(folder: Path, digest: str, version: str = "5.1.0") -> Path:
    file = folder / ".terraform.lock.hcl"
    other = 'provider "registry.terraform.io/hashicorp/null" {\n  version = "3.0.0"\n}\n'
    file.write_text(
        f'{other}\nprovider "{NAME}" {{\n  version = "{version}"\n  hashes = [\n    "{digest}",\n  ]\n}}\n'
    )
    return file


def locked(folder: Path, digest: str, **more: str) -> Path | None:
    return locked_program(
        folder,
        lock(folder, digest, **more),
        registry=REGISTRY,
        provider=PROVIDER,
        checked=folder / "cache" / "checked.json",
    )


def test_the_program_of_the_lock_is_found(tmp_path: Path) -> None:
    """It has the version that the lock names, and one of its checksums."""
    found = mirrored(tmp_path)
    assert locked(tmp_path, checksum(found.name, SERVES)) == found


def test_a_program_with_another_checksum_is_none(tmp_path: Path) -> None:
    """Nothing else than the locked program is ever run, whatever was read before."""
    found = mirrored(tmp_path)
    digest = checksum(found.name, SERVES)
    assert locked(tmp_path, digest) == found
    found.write_text(SERVES + "# changed")
    assert locked(tmp_path, digest) is None


@pytest.mark.parametrize("version", ["5.2.0", ""])
def test_a_lock_of_another_version_finds_none(tmp_path: Path, version: str) -> None:
    """Then it is left to Terraform, which says what is missing."""
    found = mirrored(tmp_path)
    assert locked(tmp_path, checksum(found.name, SERVES), version=version) is None


def test_without_a_lock_there_is_none(tmp_path: Path) -> None:
    """What nobody locked is not run by the harness itself."""
    mirrored(tmp_path)
    checked = tmp_path / "checked.json"
    assert (
        locked_program(tmp_path, tmp_path / "none", registry=REGISTRY, provider=PROVIDER, checked=checked)
        is None
    )


def test_a_served_provider_is_gone_afterwards(tmp_path: Path) -> None:
    """Terraform is led to it by its own registry's name, and nothing of it outlives the steps."""
    name = "registry.opentofu.org/hashicorp/aws"
    with serving(mirrored(tmp_path), tmp_path, name=name, environ=dict(os.environ)) as given:
        [process] = marked(MARK, str(tmp_path))
        assert given == {"TF_REATTACH_PROVIDERS": f'{{"{name}": {{"Pid": {process.pid}}}}}'}
    assert marked(MARK, str(tmp_path)) == []


def test_a_provider_that_does_not_start_says_why(tmp_path: Path) -> None:
    """Its own words are the error's."""
    broken = program(tmp_path / "broken", "#!/bin/sh\necho no room >&2\nexit 1\n")
    with pytest.raises(CommandError, match="no room"), serving(broken, tmp_path, name=NAME, environ={}):
        pass
    with (
        pytest.raises(CommandError, match="not started"),
        serving(tmp_path / "absent", tmp_path, name=NAME, environ={}),
    ):
        pass


def test_one_that_was_left_over_is_ended(tmp_path: Path) -> None:
    """After a crash of whoever served it."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], env={MARK: str(tmp_path)}
    )
    assert end_leftovers(tmp_path) == 1
    assert process.wait(5) != 0


def test_steps_are_led_to_the_served_provider(tmp_path: Path) -> None:
    """Those within, not those after. The provider lacks Terraform's mark, or it would end first."""
    (tmp_path / "work" / "environments" / "lab").mkdir(parents=True)
    shell = program(tmp_path / "terraform", "#!/bin/sh\necho led=$TF_REATTACH_PROVIDERS\n")
    made = Terraform(
        program=Program(path=shell, version=(1, 11, 4), registry=REGISTRY),
        folder=tmp_path,
        environment="lab",
        cli_config=None,
        credentials={"AWS_REGION": "us-east-1"},
        provider=mirrored(tmp_path),
    )
    with made.serving():
        made.init(timeout_s=10)
        assert f'led={{"{NAME}"' in (tmp_path / "init.out").read_text()
    made.init(timeout_s=10)
    assert (tmp_path / "init.out").read_text() == "led=\n"
    seen = (tmp_path / "environ").read_text().splitlines()
    assert {MARK, "AWS_REGION"} <= set(seen)
    assert TERRAFORM_MARK not in seen
