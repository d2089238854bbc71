"""The image of what the harness runs inside a cluster."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.images import Image, build_agent_image

Read = Callable[[Image], Any]
_MAX_BYTES = 125_000_000


@pytest.fixture(scope="session")
def agent() -> Image:
    """Return the agent's image."""
    return build_agent_image()


def test_the_agent_has_probes_and_load_and_nothing_to_judge_with(
    agent: Image, layout: Read, tmp_path: Path
) -> None:
    """Its modules import with the image's own files and user; Arrow and the judging rooms stay outside."""
    read = layout(agent)
    settings = read.config["config"]
    assert settings["Entrypoint"][1:] == ["-m"]
    root = read.unpack(tmp_path / "root")
    search = dict(item.split("=", 1) for item in settings["Env"]) | {"PATH": os.environ["PATH"]}

    def imported(module: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                "chroot",
                f"--userspec={settings['User']}",
                root,
                settings["Entrypoint"][0],
                "-c",
                f"import {module}",
            ],
            env=search,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    for module in ("locust", "uvloop", "core.outbox", "probes.control", "loadtests.engine"):
        assert imported(module).returncode == 0, imported(module).stderr
    for module in ("pyarrow", "numpy", "slas", "lab", "kubernetes"):
        assert "ModuleNotFoundError" in imported(module).stderr, module


def test_the_agent_shares_the_base_of_the_services(agent: Image, image: Image, layout: Read) -> None:
    """A node that has a service's image has the base layer already, and the whole stays small."""
    assert layout(agent).layers[0] == layout(image).layers[0]
    assert sum(path.stat().st_size for path in agent.layout.rglob("*")) < _MAX_BYTES
    assert build_agent_image().digest == agent.digest
