"""The image of the agents on nodes and of the watchdog."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.images import Image, build_chaos_image

Read = Callable[[Image], Any]
_MAX_BYTES = 220_000_000


@pytest.fixture(scope="module")
def chaos() -> Image:
    return build_chaos_image()


def test_the_image_has_what_acts_take_and_its_programs_find_their_libraries(
    chaos: Image, layout: Read, tmp_path: Path
) -> None:
    """Each program runs in the image's own root; the agent and the watchdog import, nothing else is there."""
    read = layout(chaos)
    root = read.unpack(tmp_path / "root")
    settings = read.config["config"]
    inside = dict(item.split("=", 1) for item in settings["Env"])

    def ran(*argv: str) -> subprocess.CompletedProcess[str]:
        environment = inside | {"PATH": os.environ["PATH"]}
        command = ["chroot", root, *argv]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    for argv in (
        ["iptables", "--version"],
        ["ip6tables-restore", "--version"],
        ["iptables", "-m", "statistic", "-h"],
        ["iptables", "-j", "NFQUEUE", "-h"],
        ["tc", "-V"],
        ["ip", "-V"],
        ["ss", "-V"],
        ["nsenter", "--version"],
        ["unshare", "--version"],
        ["mount", "--version"],
    ):
        done = ran(f"/usr/bin/{argv[0]}", *argv[1:])
        assert done.returncode == 0, (argv, done.stderr)
    python = settings["Entrypoint"][0]
    for module in ("chaos.node.agent", "chaos.node.guardian", "chaos.watchdog"):
        done = ran(python, "-c", f"import {module}")
        assert done.returncode == 0, done.stderr
    for module in ("lab", "fixtures", "slas", "locust"):
        assert "ModuleNotFoundError" in ran(python, "-c", f"import {module}").stderr, module


def test_the_image_is_small_shares_the_base_and_is_made_alike_each_time(
    chaos: Image, image: Image, layout: Read
) -> None:
    """A node that has a service's image has the base layer already."""
    assert layout(chaos).layers[0] == layout(image).layers[0]
    assert sum(path.stat().st_size for path in chaos.layout.rglob("*")) < _MAX_BYTES
    assert build_chaos_image().digest == chaos.digest
