"""What the tests on a live lab share: the lab named `test`, and the machine for themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from verify_command import verify

from core.places import state

TEST_LAB = "test"


@dataclass(frozen=True, kw_only=True)
class LabUnderTest:
    """The lab that the tests share, as `verify lab up --json` told of it."""

    name: str
    kubeconfig: Path
    api_url: str
    seconds: Mapping[str, float]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that need a machine without labs before those that share one."""
    items.sort(key=lambda item: "test_lab" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def this_machine_alone() -> Iterator[None]:
    """Let no other session of these tests run on the machine: they share a lab and compare the machine."""
    folder = state() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "tests-live.lock", timeout=1800):
        yield


@pytest.fixture(scope="session")
def test_lab() -> Iterator[LabUnderTest]:
    """Give a lab of three worker nodes, started afresh by the public command and down at the end."""
    verify("lab", "down", "--name", TEST_LAB)
    try:
        up = verify("lab", "up", "--name", TEST_LAB, "--json", timeout_s=1200)
        assert up.returncode == 0, up.stderr
        told = json.loads(up.stdout)
        yield LabUnderTest(
            name=TEST_LAB,
            kubeconfig=Path(told["kubeconfig"]),
            api_url=told["api_url"],
            seconds=told["seconds"],
        )
    finally:
        down = verify("lab", "down", "--name", TEST_LAB)
        assert down.returncode == 0, down.stderr
