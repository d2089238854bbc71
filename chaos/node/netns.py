"""Network namespaces of a node: whose they are, and programs and calls within them.

A namespace is named by its inode (what /proc/PID/ns/net links to), not by a process: a container may be
killed and started again while an act lasts, and its pod's namespace stays. An act notes the inode, and
whoever undoes it finds any process that is still there. Where none is, the namespace has gone with all that
was in it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from chaos.node import processes
from core.errors import EnvironmentFailedError
from core.processes import run as run_program

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000


def of_container(container_id: str) -> int:
    """Return the inode of a container's network namespace; that of the node for an empty id.

    Raises RefusedError when the container has no process.
    """
    # The node's is the agent's own (hostNetwork), not that of process 1: the lab's nodes share that process.
    pid = processes.main_of(container_id).id.pid if container_id else os.getpid()
    inode = _inode(pid)
    if inode is None:
        raise EnvironmentFailedError(f"process {pid} of {container_id or 'the node'}: it has just ended")
    return inode


def of_pods() -> set[int]:
    """Return the namespaces of all pods on the node, without the node's own."""
    found = {_inode(process.id.pid) for process in processes.of_pods()}
    return {inode for inode in found if inode is not None} - {of_container("")}


def pid_in(inode: int) -> int | None:
    """Return a process that is in the namespace; None where it has gone."""
    for folder in processes.PROC.iterdir():
        if folder.name.isdigit() and _inode(int(folder.name)) == inode:
            return int(folder.name)
    return None


def run(
    inode: int,
    argv: Sequence[str | Path],
    *,
    timeout_s: float = 20.0,
    stdin: str | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program of the agent's own image within a network namespace.

    Raises CommandError as core.processes.run does, EnvironmentFailedError when the namespace has gone.
    """
    return run_program([*entering(inode), *argv], timeout_s=timeout_s, stdin=stdin, check=check)


def entering(inode: int) -> list[str]:
    """Return what stands before a command to run it there; EnvironmentFailedError if it has gone."""
    if inode == _inode(os.getpid()):
        return []
    return ["nsenter", f"--net={_path(inode)}", "--"]


def call(inode: int, function: Callable[[], T]) -> T:
    """Return what `function` returns within a network namespace; what it raises passes through.

    It runs in a thread of its own, since only that thread changes the namespace.
    """
    if inode == _inode(os.getpid()):
        return function()
    returned: list[T] = []
    raised: list[BaseException] = []
    path = _path(inode)

    def enter_and_call() -> None:
        try:
            _enter(path)
            returned.append(function())
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the caller's thread
            raised.append(error)

    thread = threading.Thread(target=enter_and_call, name=f"netns-{inode}", daemon=True)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return returned[0]


def _enter(path: Path) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if library.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise EnvironmentFailedError(f"setns {path}: {os.strerror(number)}")
    finally:
        os.close(descriptor)


def _path(inode: int) -> Path:
    pid = pid_in(inode)
    if pid is None:
        raise EnvironmentFailedError(f"network namespace {inode}: no process is in it any more")
    return processes.PROC / str(pid) / "ns" / "net"


def _inode(pid: int) -> int | None:
    try:
        return (processes.PROC / str(pid) / "ns" / "net").stat().st_ino
    except OSError:
        return None  # it ended meanwhile
