"""A process of a load, alone, master or worker: `python -m loadtests.generator ASSIGNMENT.json`.

It keeps everything that patches sockets out of the harness' own process. Exit status: 0 load was sent,
1 it crashed, 2 the assignment is refused, 3 no request was sent or a journey is broken.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

from core.clock import RunClock
from core.errors import MisuseError
from loadtests.settings import Assignment
from loadtests.target import admit_target

PR_SET_PDEATHSIG = 1
NICE = -10


def main(arguments: list[str]) -> int:
    """Run one assignment to its end and return the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m loadtests.generator ASSIGNMENT.json\n")
        return 2
    try:
        assignment = Assignment.read(Path(arguments[0]))
        admit_target(assignment.host_url, assignment.allowed_hosts)
    except MisuseError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if assignment.parent_pid and not _die_with(assignment.parent_pid):
        return 1
    # A load whose processes wait for a processor offers less than it says, just when a fault keeps all busy.
    # A pod may not ask for it: there a share of its own is what it has.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    # Nothing is sent before the parent has this process in its ledger. Unbuffered: `stop` may follow at once.
    if assignment.supervised and os.read(0, 3) != b"go\n":
        return 1
    return run(assignment)


def run(assignment: Assignment) -> int:
    """Run the engine of the assignment's role, in this process."""
    # Locust patches sockets when imported: only here, where that is wanted.
    from loadtests import engine  # noqa: PLC0415
    from loadtests.sinks import FolderSink  # noqa: PLC0415

    # Standard output is the parent's channel; whatever a library prints belongs in the log.
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    offset_s = assignment.clock_offset_s
    clock = RunClock.start() if offset_s is None else RunClock(offset_s=offset_s)
    if assignment.role == "worker":
        return engine.WorkerEngine(assignment, clock).run()
    sink = FolderSink(Path(assignment.events), assignment.samples_fd, channel)
    made = engine.MasterEngine if assignment.role == "master" else engine.LocalEngine
    return made(assignment, sink, clock).run()


def _die_with(parent_pid: int) -> bool:
    """Have the kernel kill this process with its parent; false if the parent is already gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent_pid


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
