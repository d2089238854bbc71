"""The lab's cgroups, in every hierarchy of cgroup v1 or in the one of v2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from core.errors import EnvironmentFailedError
from core.waiting import wait_until


def hierarchies(mounts: Path = Path("/proc/self/mountinfo")) -> list[tuple[str, Path]]:
    """Return (kind, mount point) of each cgroup hierarchy; kind is "v1" or "v2".

    A hybrid machine has v1 hierarchies and an empty v2 one; both count, since a container runtime makes
    groups in each.
    """
    found: list[tuple[str, Path]] = []
    for line in mounts.read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split()[0]
        if kind in ("cgroup", "cgroup2"):
            found.append(("v1" if kind == "cgroup" else "v2", Path(before.split()[4])))
    if not found:
        raise EnvironmentFailedError(
            "no cgroup hierarchy is mounted; expected cgroup v1 or v2 below /sys/fs/cgroup"
        )
    return found


def unified() -> bool:
    """Tell whether v2 is all there is."""
    return all(kind == "v2" for kind, _ in hierarchies())


def most_bytes(group: str) -> int | None:
    """Return the most memory that a group ever held, page cache included; None where it is not told."""
    for _, root in hierarchies():
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            file = root / group / name
            if file.is_file():
                return int(file.read_text())
    return None


def make(group: str) -> list[Path]:
    """Make a group in every hierarchy and return its folders; the controllers work in it."""
    only_v2 = unified()
    made = []
    for kind, root in hierarchies():
        folder = root
        for part in Path(group).parts:
            if kind == "v2" and only_v2:
                _delegate(folder)
            folder /= part
            folder.mkdir(exist_ok=True)
            if kind == "v1":
                _copy_down(folder)
        made.append(folder)
    return made


def _delegate(folder: Path) -> None:
    # A v2 group's controllers are those that its parent hands down.
    available = set((folder / "cgroup.controllers").read_text().split())
    handed = set((folder / "cgroup.subtree_control").read_text().split())
    for controller in sorted((available & {"cpu", "cpuset", "io", "memory", "pids", "hugetlb"}) - handed):
        (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _copy_down(folder: Path) -> None:
    # A new v1 cpuset is empty, and an empty one accepts no process.
    for name in ("cpuset.cpus", "cpuset.mems"):
        here = folder / name
        if here.exists() and not here.read_text().strip():
            here.write_text((folder.parent / name).read_text())


def weigh(group: str, shares: int) -> None:
    """Set a group's share of the processors against its siblings, in cpu.shares of v1 (1024 is usual)."""
    for folder in folders(group):
        if (folder / "cpu.shares").exists():
            (folder / "cpu.shares").write_text(str(shares))
        elif unified() and (folder / "cpu.weight").exists():
            # The mapping that container runtimes use between the two scales.
            (folder / "cpu.weight").write_text(str(1 + (shares - 2) * 9999 // 262142))


def folders(group: str) -> list[Path]:
    """Return the group's folders that exist."""
    return [root / group for _, root in hierarchies() if (root / group).is_dir()]


def below(group: str) -> Iterator[Path]:
    """Yield every folder of the group, each after those in it.

    A group may go away while it is walked; os.walk passes over it, where pathlib's walk raises.
    """
    for top in folders(group):
        yield from (Path(folder) for folder, _, _ in os.walk(top, topdown=False))


def pids(group: str) -> set[int]:
    """Return the numbers of every process in the group or below it, in any hierarchy."""
    found: set[int] = set()
    for folder in below(group):
        try:
            found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
        except OSError:
            continue  # the group went away meanwhile
    found.discard(0)  # a process of a PID namespace that is not seen from here
    return found


def thaw(group: str) -> None:
    """Let frozen processes run: a frozen one does not die of SIGKILL under v1."""
    for folder in below(group):
        for name, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            try:
                if (folder / name).exists():
                    (folder / name).write_text(word)
            except OSError:
                continue


def remove(group: str, timeout_s: float = 10.0) -> None:
    """Remove the group and all below it; its processes have ended."""

    def gone() -> bool:
        for folder in list(below(group)):
            try:
                folder.rmdir()
            except OSError:
                continue  # a child is still being released
        return not folders(group)

    wait_until(
        f"cgroup {group} to be empty and removed",
        gone,
        timeout_s,
        interval_s=0.02,
        last=lambda: [f"{p}: {sorted(pids(group))}" for p in folders(group)],
    )


def remove_if_empty(group: str) -> None:
    """Remove the group's folders where nothing is below them."""
    for folder in folders(group):
        try:
            folder.rmdir()
        except OSError:
            continue
