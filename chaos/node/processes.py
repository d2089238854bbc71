"""The processes of a node and of its containers, as the agent sees them: it shares the node's PID namespace.

A container is found by its id in the cgroups of its processes. That holds for cgroup v1 and v2, for both
cgroup drivers, and within a cgroup namespace, where the paths begin elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import MisuseError, RefusedError
from core.processes import ProcessId, gone

PROC = Path("/proc")
# kubelet puts every pod below a group of this name, or below kubepods.slice.
_PODS = "kubepods"
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process: `state` is the letter of proc(5), `group` the lines of its cgroups."""

    id: ProcessId
    name: str
    state: str
    parent: int
    group: str

    @property
    def in_pod(self) -> bool:
        """Tell whether kubelet's pods hold it."""
        return _PODS in self.group

    @property
    def stopped(self) -> bool:
        """Tell whether a signal has stopped it (T; a debugger's t is another thing)."""
        return self.state == "T"

    def described(self) -> dict[str, object]:
        """Return it as evidence."""
        return {
            "pid": self.id.pid,
            "start_ticks": self.id.start_ticks,
            "name": self.name,
            "state": self.state,
        }


def every() -> Iterator[Process]:
    """Yield the live processes of the node; zombies are none, unless threads of theirs live."""
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            found = look(int(folder.name))
            if found is not None:
                yield found


def look(pid: int) -> Process | None:
    """Return a live process, or None where there is none."""
    folder = PROC / str(pid)
    try:
        stat, group = (folder / "stat").read_text(), (folder / "cgroup").read_text()
    except OSError:
        return None  # it ended meanwhile
    before, _, after = stat.rpartition(")")
    fields = after.split()
    if gone(fields):
        return None
    return Process(
        id=ProcessId(pid=pid, start_ticks=int(fields[19])),
        name=before.partition("(")[2],
        state=fields[0],
        parent=int(fields[1]),
        group=group,
    )


def of_container(container_id: str) -> list[Process]:
    """Return the container's processes, the oldest first; none when it has ended.

    Raises MisuseError for what is no full id, and for the agent's own container.
    """
    if not _CONTAINER_ID.fullmatch(container_id):
        raise MisuseError(f"container_id: expected 64 hexadecimal digits, got {container_id!r}")
    own = look(os.getpid())
    if own is not None and container_id in own.group:
        raise MisuseError(f"container_id: {container_id} is the agent's own container")
    found = [process for process in every() if container_id in process.group]
    return sorted(found, key=lambda process: (process.id.start_ticks, process.id.pid))


def main_of(container_id: str) -> Process:
    """Return the container's first process, whose parent is outside; RefusedError when it has none."""
    found = of_container(container_id)
    pids = {process.id.pid for process in found}
    outer = [process for process in found if process.parent not in pids]
    if not outer:
        raise RefusedError(f"container {container_id}: no process of it on this node")
    return outer[0]


def of_pods() -> list[Process]:
    """Return the processes of all pods on the node."""
    return [process for process in every() if process.in_pod]


def of_program(name: str) -> list[Process]:
    """Return the node's own processes of this program (kubelet, containerd), none of those in pods."""
    return [process for process in every() if process.name == name and not process.in_pod]
