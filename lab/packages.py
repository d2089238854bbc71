"""The locked packages of a dependency group, as layers that the services share.

What the kit needs is one layer for all; what a service needs beyond it is a layer of its own.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

from core.errors import RefusedError
from core.places import checkout
from core.processes import run
from core.uv import uv_command
from lab import oci
from lab.workshop import SITE, Workshop

KIT_GROUP = "service-kit"
# Raise it when the steps below change: it is part of the layers' keys.
RECIPE = 2
_PLATFORMS = {"amd64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}


def pins(group: str) -> list[str]:
    """Return the locked requirements of a dependency group, each with its hashes, as blocks of text."""
    argv = [*uv_command(), "export", "--quiet", "--frozen", "--no-header", "--no-annotate"]
    argv += ["--no-emit-project", "--only-group", group]
    text = run(argv, timeout_s=60, cwd=checkout()).stdout
    return [block.rstrip() + "\n" for block in re.split(r"\n(?=\S)", text) if block.strip()]


def shared_pins(group: str) -> list[list[str]]:
    """Return a service's requirements, split into those of the kit and those beyond it, if any."""
    kit, own = pins(KIT_GROUP), pins(group)
    beyond = [block for block in own if block not in kit]
    missing = [block.split()[0] for block in kit if block not in own]
    if missing:  # It does not include the kit's group: nothing to share.
        return [own]
    return [kit, beyond] if beyond else [kit]


def build_pins(service: str) -> list[str]:
    """Return what a service's build needs beyond the service: its group SERVICE-build, if there is one."""
    group = f"{service}-build"
    with (checkout() / "pyproject.toml").open("rb") as file:
        if group not in tomllib.load(file)["dependency-groups"]:
            return []
    own = pins(service)
    return [block for block in pins(group) if block not in own]


def layer(
    shop: Workshop, requirements: list[str], base: oci.Layer, progress: Callable[[str], None], *, kind: str
) -> oci.Layer:
    """Return the layer of these requirements, without what they depend on: the pins name that too."""
    key = f"{RECIPE}{base.digest}{''.join(requirements)}"

    def make(root: Path) -> None:
        progress(f"image packages: {len(requirements)} locked requirements")
        file = shop.folder("pins") / "requirements.txt"
        file.write_text("".join(requirements))
        whole = shop.folder("packages")
        target = whole / SITE
        _install_as_published(file, target)
        shutil.rmtree(target / "bin", ignore_errors=True)
        (target / ".lock").unlink(missing_ok=True)
        for record in [*target.glob("*.dist-info/RECORD"), *target.glob("*.dist-info/INSTALLER")]:
            record.unlink()
        shop.move_compiled(whole, SITE, root, base)

    return shop.layer(kind, key, make)


def _install_as_published(requirements: Path, target: Path) -> None:
    """Install what the wheels hold, whatever became of the files in this machine's package cache.

    uv checks what it downloads and not what it unpacked before; a virtual environment shares those files
    by hard links, and who adds a certificate to certifi's in one, changes every later installation.
    Raises RefusedError that names what still differs after a download.
    """
    _install(requirements, target)
    if altered(target):
        shutil.rmtree(target)
        _install(requirements, target, "--no-cache")
    if found := altered(target):
        raise RefusedError(f"packages: expected the files that the wheels name, found others: {found}")


def altered(target: Path) -> list[str]:
    """Return the installed files that are not what their package's RECORD says, by path in `target`."""
    found = []
    for record in sorted(target.glob("*.dist-info/RECORD")):
        for name, digest, _size in csv.reader(record.read_text().splitlines()):
            kind, _, expected = digest.partition("=")
            file = target / name
            if not expected or not file.is_file():  # The RECORD itself, and programs for another folder.
                continue
            actual = base64.urlsafe_b64encode(hashlib.new(kind, file.read_bytes()).digest())
            if actual.rstrip(b"=").decode() != expected:
                found.append(name)
    return found


def _install(requirements: Path, target: Path, *options: str) -> None:
    command: list[str | Path] = [*uv_command(), "pip", "install", "--quiet", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:"]
    command += ["--python-version", "3.11", "--python-platform", _PLATFORMS[oci.architecture()]]
    command += ["--no-compile-bytecode", "--link-mode", "copy", "--target", target, "-r", requirements]
    command += options
    run(command, timeout_s=300)
