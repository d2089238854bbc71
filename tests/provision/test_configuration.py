"""The Terraform configuration that ships is formatted, and its provider is pinned."""

from __future__ import annotations

import re

from clients.terraform import Program
from core.places import checkout
from core.processes import run

ROOT = checkout() / "terraform"


def test_the_configuration_is_formatted() -> None:
    """Every file is as `terraform fmt` writes it."""
    program = Program.find()
    done = run([program.path, "fmt", "-check", "-recursive", ROOT], timeout_s=30, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_variable_and_output_says_what_it_is() -> None:
    """A variable has a type and a description, an output a description."""
    blocks = [
        block
        for path in ROOT.rglob("*.tf")
        for block in re.findall(
            r'^(variable|output) "(\w+)" \{\n(.*?)^\}', path.read_text(), re.MULTILINE | re.DOTALL
        )
    ]
    assert blocks
    bare = [
        name
        for kind, name, body in blocks
        if "  description = " not in body
        or (kind == "variable" and not re.search(r"^  type +=", body, re.MULTILINE))
    ]
    assert bare == []


def test_the_provider_is_locked_with_its_checksum() -> None:
    """The same provider, byte for byte, is used by every run."""
    lock = (ROOT / "environments/lab/.terraform.lock.hcl").read_text()
    assert 'version     = "5.100.0"' in lock
    assert re.search(r'"h1:[\w+/]{43}="', lock)
