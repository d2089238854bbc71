"""The guardian of what is stopped on a node: it lets it go on when the agent is no more.

While a node's runtime is stopped, nobody starts an agent again whose container was killed, so its notes
would not be read.

`nsenter --cgroup=/proc/1/ns/cgroup -- python -m chaos.node.guardian ecochain-chaos-act=ID LONGEST_S` reads a
JSON list of [pid, start_ticks] and tells the cgroups that it moved into: those of the node's first process,
since the end of a container that shares the node's PID namespace ends all that is in the container's. When
its input ends, or after LONGEST_S, it sends SIGCONT to them and ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from core.processes import ProcessId

MODULE = "chaos.node.guardian"


def escape(mountinfo: str, groups: str) -> list[str]:
    """Move this process into these cgroups (the lines of a /proc/PID/cgroup); returns the folders entered.

    Hierarchies that are not mounted writable here are left out.
    """
    wanted: dict[str, str] = {}
    for line in groups.splitlines():
        _, names, path = line.split(":", 2)
        wanted[names or "cgroup2"] = path.lstrip("/")
    entered = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        point, flags = before.split()[4:6]
        if kind not in ("cgroup", "cgroup2") or "rw" not in flags.split(","):
            continue
        held = set(options.split(","))
        for names, path in wanted.items():
            of_this = names == "cgroup2" if kind == "cgroup2" else set(names.split(",")) <= held
            file = Path(point) / path / "cgroup.procs"
            if of_this and file.exists():
                file.write_text("0")
                entered.append(str(file.parent))
    return entered


def guard(stopped: list[ProcessId], longest_s: float) -> None:
    """Wait for the end of the input, at most `longest_s`, then let the processes go on."""
    deadline_s = time.monotonic() + longest_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        readable, _, _ = select.select([sys.stdin], [], [], left_s)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            break
    for process in stopped:
        process.signal(signal.SIGCONT)


def main(argv: list[str]) -> None:
    """Run; see the module."""
    stopped = [ProcessId(pid=pid, start_ticks=ticks) for pid, ticks in json.loads(sys.stdin.readline())]
    entered = escape(Path("/proc/self/mountinfo").read_text(), Path("/proc/1/cgroup").read_text())
    sys.stdout.write(json.dumps(entered) + "\n")
    sys.stdout.flush()
    guard(stopped, float(argv[2]))


if __name__ == "__main__":
    main(sys.argv)
