"""Starting and ending the lab's machines."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import EnvironmentFailedError
from core.files import write_atomic
from core.processes import ProcessId
from core.waiting import wait_until
from lab import cgroups, host_folders
from lab.components import Program
from lab.plan import Machine, Plan
from lab.toolchain import Toolchain

# What kubelet would otherwise write into the host's sysctls, each path with the value it wants to see.
# The machine sees these files in their place, so that the host's stay as they are.
_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}

_WORKER_SHARES = 4 * 1024
_CONTROL_PLANE_SHARES = 1024


@dataclass(frozen=True, kw_only=True)
class Running:
    """A started machine: its outer process, whose end ends all of it."""

    machine: Machine
    process: ProcessId

    def init_pid(self) -> int:
        """Return the host's number of the machine's first process."""
        path = self.machine.folder / "init.pid"
        wait_until(f"machine {self.machine.name} to begin", path.exists, 10, interval_s=0.005)
        return int(path.read_text())

    def check(self) -> None:
        """Raise EnvironmentFailedError, with the log's last words, when the machine or a program ended."""
        log = self.machine.folder / "log" / "machine.log"
        words = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        if words or not self.process.alive():
            told = "; ".join(words[-3:]) or "without a word"
            raise EnvironmentFailedError(f"machine {self.machine.name}: {told}; its logs: {log.parent}")

    def inside(self, *argv: str | Path) -> list[str]:
        """Return a command that runs `argv` in the machine's namespaces."""
        return [
            "nsenter",
            f"--target={self.init_pid()}",
            "--mount",
            "--net",
            "--pid",
            "--uts",
            "--ipc",
            *map(str, argv),
        ]


def start(
    plan: Plan,
    machine: Machine,
    tools: Toolchain,
    programs: Sequence[Program],
    record: Callable[[str, ProcessId], None],
) -> Running:
    """Start a machine; `record` is called with its process before that process does anything."""
    folder = machine.folder
    logs = folder / "log"
    logs.mkdir(parents=True, exist_ok=True)
    binds = []
    for path in (Path("/var/log"), *host_folders.OVERLAID):
        own = folder / "own" / path.name
        own.mkdir(parents=True, exist_ok=True)
        binds.append({"from": str(own), "to": str(path)})
    for name, value in _SYSCTLS.items():
        if (Path("/proc/sys") / name).exists():
            write_atomic(folder / "sysctl" / name, value + "\n")
            binds.append({"from": str(folder / "sysctl" / name), "to": f"/proc/sys/{name}"})
    config = {
        "hostname": machine.name,
        "netns": f"/run/netns/{machine.netns}",
        "cgroups": [str(folder) for folder in make_groups(plan, machine)],
        # Sockets, locks and container state are the machine's own. Not /tmp: a cache may lie there.
        "tmpfs": ["/run"],
        "binds": binds,
        "pids": str(folder / "pids.json"),
        "init": str(folder / "init.pid"),
        "programs": [
            {
                "name": p.name,
                "argv": p.argv,
                "env": [f"PATH={tools.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "log": str(logs / f"{p.name}.log"),
                "when": str(p.when or ""),
            }
            for p in programs
        ],
    }
    path = folder / "machine.json"
    write_atomic(path, json.dumps(config, indent=1))
    return launch(machine, [str(tools.program("machine")), str(path)], record)


def make_groups(plan: Plan, machine: Machine) -> list[Path]:
    """Make a machine's groups, and return the folders of the one that its own programs are in.

    Machines of a real cluster have processors of their own. Here those that serve go before the one that
    manages: what is measured is the services, and five pods that start keep the API server busy as well.
    """
    group = f"{plan.cgroup}/{machine.name}"
    made = cgroups.make(f"{group}/system")
    cgroups.weigh(group, _WORKER_SHARES if machine in plan.workers else _CONTROL_PLANE_SHARES)
    return made


def launch(machine: Machine, argv: Sequence[str], record: Callable[[str, ProcessId], None]) -> Running:
    """Start a machine whose files are there; `record` is called before its process does anything."""
    logs = machine.folder / "log"
    with (logs / "machine.log").open("ab") as log:
        process = subprocess.Popen(
            [*argv],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": "/"},
        )
    identified = ProcessId.of(process.pid)
    if identified is None:
        raise EnvironmentFailedError(f"machine {machine.name} ended at once; see {logs / 'machine.log'}")
    record(machine.name, identified)
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.close()
    return Running(machine=machine, process=identified)


def end_all(plan: Plan, processes: Sequence[ProcessId], timeout_s: float = 20.0) -> None:
    """End every process of the lab: the recorded ones, then whatever its cgroups still hold."""
    _end(f"lab {plan.name}", processes, plan.cgroup, timeout_s)


def end(plan: Plan, machine: Machine, process: ProcessId, timeout_s: float = 20.0) -> None:
    """End every process of one machine at once, without a word to any of them."""
    _end(f"machine {machine.name}", [process], f"{plan.cgroup}/{machine.name}", timeout_s)


def _end(what: str, processes: Sequence[ProcessId], group: str, timeout_s: float) -> None:
    for process in processes:
        process.end(grace_s=0)

    def empty() -> bool:
        cgroups.thaw(group)
        for pid in cgroups.pids(group):
            found = ProcessId.of(pid)
            if found is not None:
                found.signal(9)
        return not cgroups.pids(group)

    wait_until(
        f"every process of {what} to end",
        empty,
        timeout_s,
        interval_s=0.02,
        last=lambda: sorted(cgroups.pids(group)),
    )
