"""Cgroups of v1, v2 and both: which hierarchies there are, and what a group needs to take processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import EnvironmentFailedError
from lab import cgroups

V1 = """\
23 1 0:21 / /sys rw,nosuid shared:2 - sysfs sysfs rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime shared:9 master:1 - cgroup cgroup rw,cpuset
"""
V2 = """\
23 1 0:21 / /sys rw,nosuid shared:2 - sysfs sysfs rw
30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
"""
HYBRID = V1 + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        (V1, [("v1", "/sys/fs/cgroup/cpu,cpuacct"), ("v1", "/sys/fs/cgroup/cpuset")]),
        (V2, [("v2", "/sys/fs/cgroup")]),
        (
            HYBRID,
            [
                ("v1", "/sys/fs/cgroup/cpu,cpuacct"),
                ("v1", "/sys/fs/cgroup/cpuset"),
                ("v2", "/sys/fs/cgroup/unified"),
            ],
        ),
    ],
    ids=["v1", "v2", "hybrid"],
)
def test_hierarchies_are_read_from_the_mounts(
    tmp_path: Path, mounts: str, expected: list[tuple[str, str]]
) -> None:
    """Each mounted hierarchy is found with its version, whatever optional fields its line has."""
    (tmp_path / "mountinfo").write_text(mounts)
    found = cgroups.hierarchies(tmp_path / "mountinfo")
    assert found == [(kind, Path(path)) for kind, path in expected]


def test_a_machine_without_cgroups_is_told_so(tmp_path: Path) -> None:
    """No hierarchy at all is an error that says what was expected."""
    (tmp_path / "mountinfo").write_text(V1.splitlines()[0] + "\n")
    with pytest.raises(EnvironmentFailedError, match="expected cgroup v1 or v2"):
        cgroups.hierarchies(tmp_path / "mountinfo")


def test_a_group_of_v2_gets_its_controllers_from_every_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is available and not yet handed down is handed down by each parent, and not by the leaf.

    A leaf that did so could hold no process.
    """
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [("v2", tmp_path)])
    leaf = tmp_path / "top" / "leaf"
    leaf.mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "top", leaf):
        (folder / "cgroup.controllers").write_text("cpuset cpu io memory pids rdma\n")
        (folder / "cgroup.subtree_control").write_text("cpu\n")
    written: list[tuple[str, str]] = []
    monkeypatch.setattr(Path, "write_text", lambda path, text: written.append((str(path.parent), text)))
    assert cgroups.make("top/leaf") == [leaf]
    handed = ["+cpuset", "+io", "+memory", "+pids"]
    expected = [(str(folder), word) for folder in (tmp_path, tmp_path / "top") for word in handed]
    assert written == expected


def test_a_new_cpuset_of_v1_gets_the_processors_of_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty cpuset accepts no process: what is empty is copied down, what is set is left."""
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [("v1", tmp_path)])
    group = tmp_path / "group"
    group.mkdir()
    for name, here, above in (("cpuset.cpus", "\n", "0-3\n"), ("cpuset.mems", "1\n", "0-1\n")):
        (group / name).write_text(here)
        (tmp_path / name).write_text(above)
    cgroups.make("group")
    assert (group / "cpuset.cpus").read_text() == "0-3\n"
    assert (group / "cpuset.mems").read_text() == "1\n"


def test_processes_of_a_group_are_those_of_all_hierarchies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process counts that is in the group, or below it, in only one of the hierarchies."""
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [("v1", tmp_path / "a"), ("v2", tmp_path / "b")])
    for folder, pids in (
        ("a/group", "1\n2\n"),
        ("b/group", ""),
        ("b/group/below", "3\n0\n"),
        ("b/other", "4\n"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "cgroup.procs").write_text(pids)
    assert cgroups.pids("group") == {1, 2, 3}


@pytest.mark.parametrize("name", ["memory.max_usage_in_bytes", "memory.peak"])
def test_the_most_memory_of_a_group_is_found_in_either_version(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is claimed where no hierarchy tells it."""
    monkeypatch.setattr(
        cgroups, "hierarchies", lambda: [("v1", tmp_path / "cpu"), ("v1", tmp_path / "memory")]
    )
    assert cgroups.most_bytes("lab") is None
    (tmp_path / "memory/lab").mkdir(parents=True)
    (tmp_path / "memory/lab" / name).write_text("123\n")
    assert cgroups.most_bytes("lab") == 123


def test_a_group_that_goes_away_while_it_is_walked_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod's group goes between the listing of its parent and its own: the rest is told, leaves first."""
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [("v2", tmp_path)])
    for name in ("node/stays/inner", "node/goes"):
        (tmp_path / name).mkdir(parents=True)
    listing = os.scandir

    def scandir(path: str | Path) -> object:
        if str(path).endswith("goes"):
            Path(path).rmdir()
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    walked = [str(path.relative_to(tmp_path)) for path in cgroups.below("node")]
    assert not (tmp_path / "node/goes").exists()
    assert walked == ["node/stays/inner", "node/stays", "node"]
