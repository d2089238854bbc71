"""What the lab can not be made of is refused in one line, by the public command, and nothing is changed.

A taken port can not occur: the lab listens on no address of the host's own, so it takes none of its ports.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from machine_snapshot import difference, snapshot
from verify_command import verify

from core.processes import run
from lab.preflight import NEEDED


def _refused(*arguments: str, env: Mapping[str, str] | None = None) -> str:
    before = snapshot()
    done: subprocess.CompletedProcess[str] = verify("lab", "up", *arguments, env=env)
    assert difference(before, snapshot()) == []
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def taken_subnet() -> Iterator[str]:
    """Give a link of the host an address in the last of the lab's default subnets."""
    run(["ip", "link", "add", "ecvtaken", "type", "bridge"], timeout_s=10)
    try:
        run(["ip", "address", "add", "10.216.7.1/24", "dev", "ecvtaken"], timeout_s=10)
        yield "10.216.0.0/16"
    finally:
        run(["ip", "link", "delete", "ecvtaken"], timeout_s=10)


def test_a_taken_subnet_is_refused_by_the_name_of_what_has_it(taken_subnet: str) -> None:
    """A link whose address lies in the subnet is named, and the way out."""
    line = _refused("--name", "refused", "--subnet", taken_subnet)
    assert "10.216.0.0/16 is taken: link ecvtaken has 10.216.7.1/24" in line
    assert "--subnet" in line


def test_a_subnet_that_a_route_leads_to_is_refused() -> None:
    """So is a route into it, in whatever table."""
    route = ["10.216.0.0/20", "dev", "lo", "table", "7777"]
    run(["ip", "route", "add", *route], timeout_s=10)
    try:
        line = _refused("--name", "refused", "--subnet", "10.216.0.0/16")
    finally:
        run(["ip", "route", "delete", *route], timeout_s=10)
    assert "the route to 10.216.0.0/20 by lo overlaps it" in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--subnet", "10.216.0.0/24"], "subnet: expected a private IPv4 /16, got '10.216.0.0/24'"),
        (["--subnet", "8.8.0.0/16"], "subnet: expected a private IPv4 /16, got '8.8.0.0/16'"),
        (["--subnet", "fd00::/16"], "subnet: expected a private IPv4 /16, got 'fd00::/16'"),
        (["--subnet", "here"], "subnet: expected a private IPv4 /16, got 'here'"),
        (["--name", "No_Name"], "lab name: expected a letter"),
        (["--name", "../up"], "lab name: expected a letter"),
        (["--nodes", "0"], "nodes: expected 1 to 12, got 0"),
        (["--ai-nodes", "3"], "ai nodes: expected 0 to 2 of 3 nodes, got 3"),
        (["--nodes", "13"], "nodes: expected 1 to 12, got 13"),
    ],
)
def test_wrong_input_is_refused_with_what_was_expected(arguments: list[str], told: str) -> None:
    """The line names the option, what was expected and what was got."""
    named = arguments if "--name" in arguments else ["--name", "refused", *arguments]
    assert told in _refused(*named)


@pytest.fixture
def without_go(tmp_path: Path) -> dict[str, str]:
    """Give an environment with all programs but Go on PATH, and no toolchain built yet."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    return {"PATH": str(programs), "ECOCHAIN_VERIFY_CACHE": str(tmp_path / "cache")}


def test_a_machine_without_go_is_refused(without_go: dict[str, str]) -> None:
    """The line says which version is needed, and for what."""
    line = _refused("--name", "refused", env=without_go)
    assert "Go 1.26" in line
    assert "no `go` on PATH" in line


def test_a_go_that_is_too_old_is_refused(without_go: dict[str, str]) -> None:
    """The line says which version is needed, which was found and where."""
    go = Path(without_go["PATH"]) / "go"
    go.write_text("#!/bin/sh\necho go version go1.20.3 linux/amd64\n")
    go.chmod(0o755)
    line = _refused("--name", "refused", env=without_go)
    assert "Go 1.26" in line
    assert f"`{go}` is 1.20" in line


def test_a_missing_program_is_refused_by_its_package(without_go: dict[str, str]) -> None:
    """The line names the package that has it."""
    go = shutil.which("go")
    assert go is not None
    (Path(without_go["PATH"]) / "go").symlink_to(go)
    (Path(without_go["PATH"]) / "conntrack").unlink()
    assert "missing programs of the packages conntrack" in _refused("--name", "refused", env=without_go)
