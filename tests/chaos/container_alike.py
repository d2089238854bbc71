"""What an agent takes for a container: a process in cgroups of that name and in mounts of its own.

It dies with this process, and its mount namespace with it; the cgroups are removed at the end, and those of a
killed session before the next one makes its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos.agents import Act
from chaos.node.act_kind import ActKind
from core.processes import ProcessId
from lab import cgroups

# Its name says which test session made it, and whether that still lives.
_PODS = "kubepods-ecochain-chaos-test"
_STAY = """
import ctypes, sys, time
ctypes.CDLL(None).prctl(1, 9)
held = bytearray(int(sys.argv[1]))
held[::4096] = b"x" * len(held[::4096])
print("there", flush=True)
time.sleep(600)
"""


class ContainerAlike:
    """`id` and `pid` are its container id and its process; `notes` is what acts noted, by the act's id."""

    def __init__(self, container_id: str, group: str, process: subprocess.Popen[bytes]) -> None:
        self.id, self.group, self.process, self.pid = container_id, group, process, process.pid
        self.notes: dict[str, dict[str, Any]] = {}

    def act(self, kind: str, act_id: str = "act-1", **params: Any) -> Act:
        return Act(id=act_id, kind=kind, node="n", container_id=self.id, params=params, longest_s=60)

    def begin(self, kind: ActKind, act: Act) -> Any:
        kind.check(act)
        return kind.begin(act, self.noting(act))

    def noting(self, act: Act) -> Callable[..., None]:
        return lambda **data: self.notes.setdefault(act.id, {}).update(data)

    def end(self, kind: ActKind, act: Act) -> None:
        kind.end(act, self.notes.get(act.id, {}))

    def within(self, point: str) -> Path:
        return Path(f"/proc/{self.pid}/root") / point.lstrip("/")

    def limit(self, *, cores: float | None = None, memory_bytes: int | None = None) -> None:
        files = {}
        if cores is not None:
            files = {
                "cpu.cfs_quota_us": str(int(cores * 100_000)),
                "cpu.max": f"{int(cores * 100_000)} 100000",
            }
        if memory_bytes is not None:
            files |= {"memory.limit_in_bytes": str(memory_bytes), "memory.max": str(memory_bytes)}
        for folder in cgroups.folders(self.group):
            for name, value in files.items():
                if (folder / name).exists():
                    (folder / name).write_text(value)


@contextmanager
def container_alike(
    *, tmpfs: Sequence[tuple[str, str]] = (), binds: Sequence[tuple[str, str]] = (), held_bytes: int = 0
) -> Iterator[ContainerAlike]:
    """Make one with tmpfs of a size at (path, size), and folders bound at (path, folder)."""
    _sweep()
    container_id = os.urandom(32).hex()
    own = ProcessId.of(os.getpid())
    assert own is not None
    group = f"{_PODS}/{own.pid}-{own.start_ticks}/cri-{container_id}.scope"
    script = ["mount --make-rprivate /"]
    script += [f"mount -t tmpfs -o size={size},mode=1777 tmpfs '{path}'" for path, size in tmpfs]
    script += [f"mount --bind '{folder}' '{path}'" for path, folder in binds]
    script += [f"echo $$ > '{folder}/cgroup.procs'" for folder in cgroups.make(group)]
    steps = " && ".join([*script, f"exec '{sys.executable}' -S -c \"$0\" {held_bytes}"])
    started = subprocess.Popen(["unshare", "--mount", "sh", "-c", steps, _STAY], stdout=subprocess.PIPE)
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == b"there\n"
        yield ContainerAlike(container_id, group, started)
    finally:
        started.kill()
        started.wait()
        assert started.stdout is not None
        started.stdout.close()
        cgroups.remove(f"{_PODS}/{own.pid}-{own.start_ticks}")
        cgroups.remove_if_empty(_PODS)


def _sweep() -> None:
    for root in cgroups.folders(_PODS):
        for left in root.iterdir():
            if left.is_dir():
                pid, _, ticks = left.name.partition("-")
                if not ProcessId(pid=int(pid), start_ticks=int(ticks)).alive():
                    cgroups.remove(f"{_PODS}/{left.name}")
