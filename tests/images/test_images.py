"""What the image builder makes, and what it leaves."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.errors import RefusedError, VerifyError
from core.waiting import wait_until
from lab.images import Image, build_image, static_image

Read = Callable[[Image], Any]
BROKEN = """
import sys
from api_gateway.server import main
from ecochain_kit.problems import Problem

def broken(app):
    async def answer(scope, receive, send):
        failing = scope["path"] == "/health"
        await (Problem(500, "planted", "planted").response() if failing else app)(scope, receive, send)
    return answer

sys.exit(main(broken))
"""


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """Return the folder of a variant that is ready but answers 500."""
    package = tmp_path / "overlay/api_gateway"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text(BROKEN)
    return package.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(image: Image, read: Read, root: Path) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Run an image's own command, in its own files, as its own user; yields what answers a GET."""
    layout = read(image)
    settings = layout.config["config"]
    port = free_port()
    variables = dict(item.split("=", 1) for item in settings["Env"])
    variables |= {"PORT": str(port), "METRICS_PORT": str(free_port())}
    command = ["chroot", f"--userspec={settings['User']}", layout.unpack(root), *settings["Entrypoint"]]
    search = {"PATH": os.environ["PATH"]} | {name: text for name, text in variables.items() if name != "PATH"}
    process = subprocess.Popen(command, env=search, stdout=subprocess.DEVNULL)

    def get(path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, str(answer.getheader("x-version"))
        finally:
            connection.close()

    def ready() -> bool:
        try:
            return get("/ready")[0] == 200
        except OSError:
            return False

    try:
        wait_until("the image's command to be ready", ready, 20)
        yield get
    finally:
        process.kill()
        process.wait()


def test_the_image_runs_as_it_says(layout: Read, tmp_path: Path) -> None:
    """Its files, command, user and variables are enough to serve, and it says which version it is."""
    with started(build_image("api", "1.2.3"), layout, tmp_path / "root") as get:
        assert get("/ready") == (200, "1.2.3")
        assert get("/health") == (200, "1.2.3")


def test_a_variant_is_ready_and_broken(overlay: Path, layout: Read, tmp_path: Path) -> None:
    """An overlay replaces files of the service, so that a bad release can be rehearsed."""
    variant = build_image("api", "1.2.4", overlay=overlay)
    with started(variant, layout, tmp_path / "root") as get:
        assert get("/health") == (500, "1.2.4")


def test_services_share_the_packages_of_the_kit(image: Image, layout: Read) -> None:
    """Another service's image adds its own code to the layers of the first, and nothing else."""
    other = layout(build_image("user-service", "1.2.3")).layers
    own = layout(image).layers
    assert other[:-1] == own[:-1]
    assert other[-1] != own[-1]


def test_what_a_build_module_makes_is_a_layer_of_its_own(layout: Read, tmp_path: Path) -> None:
    """It runs once, in the image's own files and packages; what it leaves is read at /opt/app/model."""
    package = tmp_path / "overlay/auth_service"
    package.mkdir(parents=True)
    script = "import pathlib, sys, fastapi\npathlib.Path(sys.argv[1], 'm.txt').write_text(fastapi.__name__)\n"
    (package / "build.py").write_text(script)
    lines: list[str] = []
    first = build_image("auth-service", "1.2.3", overlay=package.parent)
    second = build_image("auth-service", "1.2.4", overlay=package.parent, progress=lines.append)
    assert lines == []
    assert layout(first).layers == layout(second).layers
    root = layout(first).unpack(tmp_path / "root")
    assert (root / "opt/app/model/m.txt").read_text() == "fastapi"
    assert [(m.name, m.mode) for m in layout(first).members() if m.name.startswith("opt/app/model/")] == [
        ("opt/app/model/m.txt", 0o644)
    ]


@pytest.mark.parametrize("script", ["raise SystemExit(3)", "pass"])
def test_a_build_that_makes_nothing_gives_no_image(tmp_path: Path, script: str) -> None:
    """A model that is missing would else be found missing by the first pod."""
    package = tmp_path / "overlay/auth_service"
    package.mkdir(parents=True)
    (package / "build.py").write_text(f"{script}\n")
    with pytest.raises(VerifyError, match=r"auth_service\.build"):
        build_image("auth-service", "1.2.3", overlay=package.parent)


def test_equal_inputs_give_an_equal_digest(image: Image, layout: Read, other_cache: Path) -> None:
    """Built anew in another place, the image is the same to the byte."""
    again = build_image("auth-service", "1.2.3")
    assert again.layout.is_relative_to(other_cache)
    assert again.digest == image.digest
    assert layout(again).files == layout(image).files


def test_each_version_has_its_digest_and_shares_the_layers(image: Image, layout: Read) -> None:
    """A new version is told apart by its digest, though only its config differs."""
    other = build_image("auth-service", "1.2.4")
    assert other.digest != image.digest
    assert layout(other).layers == layout(image).layers
    assert "VERSION=1.2.4" in layout(other).config["config"]["Env"]


def test_an_overlay_changes_only_the_service_layer(image: Image, layout: Read, overlay: Path) -> None:
    """The variant's digest differs even under the same version."""
    variant = build_image("auth-service", "1.2.3", overlay=overlay)
    shared, changed = layout(image).layers, layout(variant).layers
    assert changed[:-1] == shared[:-1]
    assert changed[-1] != shared[-1]
    assert variant.digest != image.digest


def test_the_layout_names_the_image_and_is_whole(image: Image, layout: Read) -> None:
    """The runtime names what it imports by the index; every blob that it names is there."""
    found = layout(image)
    names = [item["annotations"]["io.containerd.image.name"] for item in found.index["manifests"]]
    assert names == ["docker.io/ecochain/auth-service:1.2.3"]
    assert {item["digest"] for item in found.index["manifests"]} == {image.digest}
    assert found.manifest["config"]["digest"] == image.config_digest
    assert found.config["rootfs"]["diff_ids"] == found.layers
    assert all(found.blob(digest) for digest in found.layers)


def test_the_image_has_no_root_no_shell_and_no_set_uid_program(image: Image, layout: Read) -> None:
    """Whoever breaks into the service finds nothing to run."""
    found = layout(image)
    assert found.config["config"]["User"] == "10001:10001"
    members = found.members()
    assert {member.name for member in members if member.name.startswith("usr/bin/")} == {"usr/bin/python3.11"}
    assert [member.name for member in members if member.mode & 0o6000 and member.isfile()] == []
    assert not {"bin/sh", "bin/bash", "sbin"} & {member.name for member in members}
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(0, 0, 0)}


def test_scanners_can_tell_what_is_inside(image: Image, layout: Read) -> None:
    """The distribution and its packages are stated, and only those whose files are there."""
    names = {member.name for member in layout(image).members()}
    assert "usr/lib/os-release" in names
    assert {"var/lib/dpkg/status.d/libc6", "var/lib/dpkg/status.d/libssl3"} <= names
    assert "var/lib/dpkg/status.d/dpkg" not in names
    assert any(name.startswith("opt/site-packages/uvicorn-") for name in names)


def test_what_a_killed_build_left_is_removed_by_the_next(other_cache: Path) -> None:
    """A scratch folder outlives only its own process."""
    planted = other_cache / "images/scratch-of-a-killed-build"
    (planted / "debian/dev").mkdir(parents=True)
    build_image("auth-service", "1.2.3")
    assert not planted.exists()
    assert list((other_cache / "images").glob("scratch-*")) == []


def test_a_build_leaves_no_mount() -> None:
    """Nothing is ever mounted below the cache."""
    build_image("auth-service", "1.2.3")
    assert "/images/scratch-" not in Path("/proc/self/mounts").read_text()


def test_a_cached_build_is_quick(image: Image) -> None:
    """A version that was built before costs no build."""
    started_s = time.monotonic()
    lines: list[str] = []
    again = build_image("auth-service", "1.2.3", progress=lines.append)
    assert again == image
    assert lines == []
    assert time.monotonic() - started_s < 5


def test_a_static_image_holds_one_program(layout: Read, other_cache: Path, tmp_path: Path) -> None:
    """A static binary needs no distribution around it."""
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    built = static_image(
        "registry.k8s.io/pause", "3.10", files={"/pause": program}, entrypoint=["/pause"], user="65535:65535"
    )
    found = layout(built)
    assert built.layout.is_relative_to(other_cache)
    assert built.tagged == "registry.k8s.io/pause:3.10"
    assert [(member.name, member.mode) for member in found.members()] == [("pause", 0o755)]
    assert found.config["config"]["Entrypoint"] == ["/pause"]
    assert found.config["config"]["User"] == "65535:65535"
    program.write_bytes(b"\x7fELF-other")
    changed = static_image("registry.k8s.io/pause", "3.10", files={"/pause": program}, entrypoint=["/pause"])
    assert changed.digest != built.digest


@pytest.mark.parametrize(
    ("service", "version", "named"),
    [
        ("auth-service", "latest", "latest"),
        ("auth-service", "a b", "a b"),
        ("nowhere", "1", "nowhere"),
        ("kit", "1", "kit"),
    ],
)
def test_a_senseless_build_is_refused(service: str, version: str, named: str) -> None:
    """Misuse is named before anything is built."""
    with pytest.raises(RefusedError, match=named):
        build_image(service, version)


def test_an_overlay_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A sabotage whose files are missing would otherwise test the healthy service."""
    with pytest.raises(RefusedError, match="absent"):
        build_image("auth-service", "1.2.3", overlay=tmp_path / "absent")


def test_a_static_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """An image without its program is never made."""
    with pytest.raises(RefusedError, match="absent"):
        static_image("pause", "1", files={"/pause": tmp_path / "absent"}, entrypoint=["/pause"])
