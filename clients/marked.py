"""Processes found by a mark in their environment, for when their number could not be recorded.

A process inherits its parent's environment, so a mark set at the start of a program names the program and
everything that it starts, also when the starter was killed between the start and writing the number down.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from core.processes import ProcessId


def marked(name: str, value: str) -> list[ProcessId]:
    """Return the live processes started with the environment variable `name` set to exactly `value`.

    Processes that this user may not read are left out.
    """
    mark = f"{name}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        process = ProcessId.of(int(entry.name))
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if process is not None and mark in environment.split(b"\0"):
            found.append(process)
    return found


def end_marked(name: str, value: str, *, interrupt_s: float = 0.0) -> int:
    """End every process with the mark and return how many there were.

    Each gets SIGINT and `interrupt_s` seconds to finish what it does, then SIGKILL. Returns when none is
    left.
    """
    found = marked(name, value)
    if interrupt_s > 0:
        for process in found:
            process.signal(signal.SIGINT)
        deadline = time.monotonic() + interrupt_s
        while time.monotonic() < deadline and any(process.alive() for process in found):
            time.sleep(0.05)
    while left := marked(name, value):
        for process in left:
            process.end(grace_s=0)
    return len(found)
