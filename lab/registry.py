"""The lab's registry: what kubelets pull from, under whatever name an image has.

A process of the control plane's machine, so it dies with it. What is pushed lies in the machine's cache,
named by its digest: a second lab, or the next one, is pushed nothing that did not change.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from core.errors import EnvironmentFailedError
from core.files import write_atomic
from core.places import cache
from core.processes import run
from core.waiting import wait_until
from lab import programs
from lab.components import Program
from lab.images import Image
from lab.plan import Plan

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_START_TIMEOUT_S = 20.0
_PUSH_TIMEOUT_S = 300.0
_LARGEST_BYTES = 8 * 2**30


def storage() -> Path:
    """Return the folder of what was pushed, shared by the labs of this machine."""
    return cache() / "registry"


def prune() -> None:
    """Begin with an empty store when the old one has grown beyond 8 GiB; no lab may be up."""
    size = sum(path.stat().st_size for path in storage().rglob("*") if path.is_file())
    if size > _LARGEST_BYTES:
        shutil.rmtree(storage())


def program(plan: Plan, binary: Path) -> Program:
    """Write the registry's settings and return it as a program of the control plane's machine."""
    argv = command(binary, plan.registry, storage(), plan.control_plane.folder / "registry.yml")
    return Program(name="registry", argv=argv)


def command(binary: Path, address: str, store: Path, file: Path) -> list[str]:
    """Write a registry's settings into `file` and return the command that serves them."""
    settings = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(store)},
            "cache": {"blobdescriptor": "inmemory"},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": address},
    }
    # JSON is YAML, which is what the registry reads.
    write_atomic(file, json.dumps(settings, indent=1))
    # Without this it sends a trace of each request to a collector that is not there.
    silent = "OTEL_TRACES_EXPORTER=none"
    return ["/usr/bin/env", silent, str(binary), "serve", str(file)]


def wait(address: str) -> None:
    """Wait until the registry answers."""

    def answers() -> bool:
        try:
            return httpx.get(f"http://{address}/v2/", timeout=2).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    wait_until(f"the registry at {address} to answer", answers, _START_TIMEOUT_S, interval_s=0.05)


def push(address: str, images: Sequence[Image], progress: Callable[[str], None] = lambda _line: None) -> None:
    """Push images, each under its tag, by the path of its name; one that is there costs a request.

    Raises EnvironmentFailedError when the registry does not have an image afterwards by its digest.
    """
    crane = programs.ensure("crane", progress)

    def one(image: Image) -> None:
        repository = image.reference.partition("/")[2]
        if not has(client, repository, image.digest):
            progress(f"registry: pushing {repository}:{image.tag}")
            upload(crane, image.layout, f"{address}/{repository}:{image.tag}")
            if not has(client, repository, image.digest):
                raise EnvironmentFailedError(f"registry {address}: {image.pinned} was pushed, is not there")

    with httpx.Client(base_url=f"http://{address}", timeout=10) as client:
        for image in images[:1]:
            one(image)  # with the layers that the others share
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(one, images[1:]))


def upload(crane: Path, layout: Path, reference: str) -> None:
    """Push an OCI layout; plain HTTP at a private address. Credentials are those of Docker's settings."""
    run([crane, "push", layout, reference], timeout_s=_PUSH_TIMEOUT_S)


def has(client: httpx.Client, repository: str, digest: str) -> bool:
    """Tell whether the client's registry has an image by its digest."""
    answer = client.head(f"/v2/{repository}/manifests/{digest}", headers={"Accept": MANIFEST})
    return answer.status_code == httpx.codes.OK
