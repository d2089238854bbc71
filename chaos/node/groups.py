"""The cgroups of a container: where they are, who joins them, and what they count.

With cgroup v1 each controller has a hierarchy of its own, with v2 all share one. Within a cgroup namespace
the paths of /proc/PID/cgroup begin elsewhere than the mount does; the folder is then looked for by its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos.node import processes
from core.errors import RefusedError

CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory")
_UNLIMITED = 1 << 60  # v1 has no word for it, but a number near 2^63


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """Processor time since the group was made: `limit_cores` None is none; `periods` are the quota's."""

    usage_s: float
    periods: int
    throttled: int
    throttled_s: float
    limit_cores: float | None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory now: `working_set_bytes` is what cannot be dropped, in kubelet's sense."""

    usage_bytes: int
    working_set_bytes: int
    limit_bytes: int | None
    oom_kills: int

    @property
    def headroom_bytes(self) -> int:
        """Return what fits before the limit; without a limit, nothing is promised."""
        return max(0, (self.limit_bytes or 0) - self.working_set_bytes)


@dataclass(frozen=True, kw_only=True)
class Groups:
    """A container's folder by controller: its limits and counts are there; `inner` has its main process."""

    container_id: str
    folders: Mapping[str, Path]
    inner: Mapping[str, Path]
    unified: bool

    def joined_by(self, controllers: Iterable[str]) -> list[Path]:
        """Return the files that a process writes its number to, to be in these controllers' groups.

        RefusedError for a controller that the node does not have.
        """
        return list(dict.fromkeys(self._of(self.inner, one) / "cgroup.procs" for one in controllers))

    def cpu(self) -> Cpu:
        """Read the processor time and its limit."""
        folder = self._of(self.folders, "cpu")
        counts = _table(folder / "cpu.stat")
        if self.unified:
            quota, _, period = (folder / "cpu.max").read_text().strip().partition(" ")
            limit = None if quota == "max" else int(quota) / int(period)
            usage_s, throttled_s = counts["usage_usec"] / 1e6, counts.get("throttled_usec", 0) / 1e6
        else:
            quota_us = int((folder / "cpu.cfs_quota_us").read_text())
            limit = quota_us / int((folder / "cpu.cfs_period_us").read_text()) if quota_us > 0 else None
            usage_s = int((self._of(self.folders, "cpuacct") / "cpuacct.usage").read_text()) / 1e9
            throttled_s = counts.get("throttled_time", 0) / 1e9
        return Cpu(
            usage_s=usage_s,
            periods=counts.get("nr_periods", 0),
            throttled=counts.get("nr_throttled", 0),
            throttled_s=throttled_s,
            limit_cores=limit,
        )

    def memory(self) -> Memory:
        """Read the memory and its limit."""
        folder = self._of(self.folders, "memory")
        names = ("memory.current", "memory.max", "inactive_file", "memory.events")
        if not self.unified:
            names = ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file", "")
        usage = int((folder / names[0]).read_text())
        word = (folder / names[1]).read_text().strip()
        limit = None if word == "max" or int(word) >= _UNLIMITED else int(word)
        return Memory(
            usage_bytes=usage,
            working_set_bytes=max(0, usage - _table(folder / "memory.stat").get(names[2], 0)),
            limit_bytes=limit,
            oom_kills=_table(folder / (names[3] or "memory.oom_control")).get("oom_kill", 0),
        )

    def _of(self, folders: Mapping[str, Path], controller: str) -> Path:
        if controller not in folders:
            raise RefusedError(
                f"container {self.container_id}: this node has no cgroup controller {controller!r} for it, "
                f"only {sorted(folders)}"
            )
        return folders[controller]


def of_container(container_id: str) -> Groups:
    """Find a container's groups. RefusedError when it has no process, or the node's cgroups are not seen."""
    pid = processes.main_of(container_id).id.pid
    paths = _paths(pid)
    folders: dict[str, Path] = {}
    inner: dict[str, Path] = {}
    unified = False
    for kind, mount, names in _hierarchies():
        for controller in names:
            if controller in folders and kind == "v1":
                continue
            outer = _folder(mount, paths.get("" if kind == "v2" else controller, ""), container_id)
            if outer is None:
                continue
            held = names if kind == "v1" else (outer / "cgroup.controllers").read_text().split()
            if controller in held and controller not in folders:
                folders[controller], inner[controller] = outer, _holding(outer, pid)
                unified = unified or kind == "v2"
    if "cpu" not in folders or "memory" not in folders:
        raise RefusedError(
            f"container {container_id}: its groups of cpu and memory are not below the cgroup mounts seen "
            "here; expected the node's /sys/fs/cgroup"
        )
    return Groups(container_id=container_id, folders=folders, inner=inner, unified=unified)


def _hierarchies() -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        mount = Path(before.split()[4])
        if kind == "cgroup":
            names = tuple(one for one in CONTROLLERS if one in options.split(","))
            if names:
                yield "v1", mount, names
        elif kind == "cgroup2":
            yield "v2", mount, ("cpu", "cpuset", "memory")


def _paths(pid: int) -> dict[str, str]:
    found = {}
    for line in (processes.PROC / str(pid) / "cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        found.update(dict.fromkeys(names.split(","), path))
    return found


def _folder(mount: Path, path: str, container_id: str) -> Path | None:
    parts = Path(path.lstrip("/")).parts
    named = next((at for at, part in enumerate(parts) if container_id in part), None)
    if named is not None and ".." not in parts:
        folder = mount.joinpath(*parts[: named + 1])
        if folder.is_dir():
            return folder
    for top, names, _ in os.walk(mount):
        for name in names:
            if container_id in name:
                return Path(top) / name
    return None


def _holding(folder: Path, pid: int) -> Path:
    # A container may have made groups of its own, and under v2 then has no process beside them.
    # They come and go while they are walked.
    for one, names, _ in os.walk(folder):
        names.sort()
        with suppress(FileNotFoundError):
            if str(pid) in Path(one, "cgroup.procs").read_text().split():
                return Path(one)
    return folder


def _table(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in file.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
