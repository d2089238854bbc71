"""The toolchain's key: equal for equal inputs, another for any other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.errors import RefusedError
from lab import toolchain


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the toolchain's sources that the key is made of."""
    copy = tmp_path / "toolchain"
    shutil.copytree(toolchain.SOURCE, copy)
    monkeypatch.setattr(toolchain, "SOURCE", copy)
    return copy


def test_the_same_inputs_in_another_place_give_the_same_key(source: Path) -> None:
    """The key depends on contents, not on where the checkout lies or on when its files were written."""
    key = toolchain.key()
    moved = source.with_name("moved")
    shutil.copytree(source, moved, copy_function=shutil.copyfile)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolchain, "SOURCE", moved)
        assert toolchain.key() == key


@pytest.mark.parametrize("change", ["source", "sum", "new file", "name", "flags", "programs", "go"])
def test_any_other_input_gives_another_key(
    source: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sources, pins, file names, build flags, the programs and Go's version all count."""
    key = toolchain.key()
    if change == "source":
        (source / "machine" / "main.go").open("a").write("// changed\n")
    elif change == "sum":
        (source / "go.sum").open("a").write("\n")
    elif change == "new file":
        (source / "pause" / "more.go").write_text("package main\n")
    elif change == "name":
        (source / "pause" / "main.go").rename(source / "pause" / "other.go")
    elif change == "flags":
        monkeypatch.setattr(toolchain, "_FLAGS", [*toolchain._FLAGS, "-race"])
    elif change == "programs":
        monkeypatch.setattr(toolchain, "PROGRAMS", {**toolchain.PROGRAMS, "./kube": "other"})
    else:
        monkeypatch.setattr(toolchain, "go_version", lambda: (1, 99))
    assert toolchain.key() != key


@pytest.mark.parametrize("version", ["1.20.3", "1.9", "0.1", "unknown"])
def test_a_go_that_is_too_old_is_refused(tmp_path: Path, version: str) -> None:
    """The error names the version needed and what was found; numbers are compared as numbers."""
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\necho go version go{version} linux/amd64\n")
    go.chmod(0o755)
    with pytest.raises(RefusedError, match=r"^Go 1\.26\S* or newer is needed .*; `.*/go` is \S+$"):
        toolchain.go_version(str(go))


def test_a_go_that_is_newer_is_taken(tmp_path: Path) -> None:
    """A later minor and a later major version do; a two-figure minor counts as such."""
    go = tmp_path / "go"
    for version, expected in (("1.100", (1, 100)), ("2.0.1", (2, 0))):
        go.write_text(f"#!/bin/sh\necho go version go{version} linux/amd64\n")
        go.chmod(0o755)
        assert toolchain.go_version(str(go))[:2] == expected


def test_a_machine_without_go_is_refused(tmp_path: Path) -> None:
    """The error says so."""
    with pytest.raises(RefusedError, match="no `go` on PATH"):
        toolchain.go_version(str(tmp_path / "go"))
