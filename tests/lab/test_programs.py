"""The programs beside Kubernetes have keys of their own: a change of one rebuilds nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.errors import RefusedError
from core.processes import run
from lab import programs, toolchain


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of all sources that the keys are made of."""
    copy = tmp_path / "toolchain"
    shutil.copytree(toolchain.SOURCE, copy)
    monkeypatch.setattr(toolchain, "SOURCE", copy)
    monkeypatch.setattr(programs, "SOURCE", copy / toolchain.EXTRA)
    return copy


@pytest.mark.parametrize("name", programs.PROGRAMS)
def test_a_change_of_one_program_gives_it_alone_another_key(source: Path, name: str) -> None:
    """Its pins count for itself; the others and Kubernetes, which takes minutes to build, stay cached."""
    before = {other: programs.key(other) for other in programs.PROGRAMS} | {"kube": toolchain.key()}
    (source / toolchain.EXTRA / name / "go.sum").open("a").write("\n")
    after = {other: programs.key(other) for other in programs.PROGRAMS} | {"kube": toolchain.key()}
    assert {other for other in before if before[other] != after[other]} == {name}


def test_a_change_of_kubernetes_rebuilds_no_other_program(source: Path) -> None:
    """The modules are apart in both directions."""
    before, kube = programs.key("registry"), toolchain.key()
    (source / "go.sum").open("a").write("\n")
    assert toolchain.key() != kube
    assert programs.key("registry") == before


def test_an_unknown_program_is_refused() -> None:
    """The error names those that there are."""
    with pytest.raises(RefusedError, match=r"expected one of registry, ferretdb, .*, got 'mongod'"):
        programs.key("mongod")


@pytest.mark.parametrize(
    ("name", "argument", "told"),
    [
        ("registry", "--version", "registry"),
        ("ferretdb", "--version", "version: v1.24.2"),
        ("local-path-provisioner", "--help", "Local Path Provisioner"),
        ("volume-folder", "-h", "the volume's folder"),
        ("crane", "--help", "Crane is a tool"),
        ("kubeconform", "-h", "Usage:"),
    ],
)
def test_each_program_starts(name: str, argument: str, told: str) -> None:
    """What is built also runs: one of them ends at once when built without a file that its module lacks."""
    done = run([programs.ensure(name), argument], timeout_s=20, check=False)
    assert told in done.stdout + done.stderr
