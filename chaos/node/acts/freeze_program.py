"""freeze_program {program}: SIGSTOP to a program of the node itself, kubelet or its container runtime.

The containers run on; nobody manages them. SIGCONT undoes it, sent by the agent or, should the agent die, by
a guardian: nobody would start the agent again.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from chaos.agents import Act
from chaos.node import guardian, processes
from chaos.node.act_kind import Note
from core.errors import EnvironmentFailedError, MisuseError, RefusedError
from core.processes import ProcessId
from core.waiting import wait_until

KIND = "freeze_program"
LASTS = True
PROGRAMS = ("kubelet", "containerd", "crio")
_MARK = "ecochain-chaos-act="
_TIMEOUT_S = 5.0
_guardians: dict[str, subprocess.Popen[str]] = {}


def check(act: Act) -> None:
    """Refuse a program that is none of PROGRAMS, or that does not run by this name outside of pods."""
    program = act.params.get("program")
    if set(act.params) != {"program"} or program not in PROGRAMS:
        raise MisuseError(f"{KIND}: expected program of {', '.join(PROGRAMS)}, got {dict(act.params)}")
    if act.container_id:
        raise MisuseError(f"{KIND}: expected no container, got {act.container_id!r}")
    if not processes.of_program(program):
        raise RefusedError(f"{KIND}: no process {program} outside of pods on this node")


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Set the guardian, stop every process of the program, and see them stopped."""
    program = act.params["program"]
    named = [[p.id.pid, p.id.start_ticks] for p in processes.of_program(program)]
    note(processes=named)
    entered = _set_guardian(act, named)
    for pid, ticks in named:
        ProcessId(pid=pid, start_ticks=ticks).signal(signal.SIGSTOP)

    def all_stopped() -> list[processes.Process] | None:
        found = processes.of_program(program)
        return found if found and all(process.stopped for process in found) else None

    stopped = wait_until(f"{program} to be stopped", all_stopped, _TIMEOUT_S, interval_s=0.01)
    return {"stopped": [process.described() for process in stopped], "guardian_in": entered}


def end(act: Act, noted: Mapping[str, Any]) -> None:
    """Let them go on, and dismiss the guardian."""
    for pid, ticks in noted.get("processes", []):
        ProcessId(pid=pid, start_ticks=ticks).signal(signal.SIGCONT)
    child = _guardians.pop(act.id, None)
    if child is not None:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def remainders() -> list[Mapping[str, Any]]:
    """Return the node's programs that are stopped, and guardians that nobody here has set."""
    found: list[Mapping[str, Any]] = [
        {"where": f"process {process.id.pid} ({program})", "what": "stopped by a signal"}
        for program in PROGRAMS
        for process in processes.of_program(program)
        if process.stopped
    ]
    own = {child.pid for child in _guardians.values()}
    for process in processes.every():
        with contextlib.suppress(OSError):
            words = (processes.PROC / str(process.id.pid) / "cmdline").read_bytes().split(b"\0")
            if guardian.MODULE.encode() in words and process.id.pid not in own:
                found.append({"where": f"process {process.id.pid}", "what": "a guardian without its agent"})
    return found


def _set_guardian(act: Act, named: list[list[int]]) -> list[str]:
    command = ["nsenter", "--cgroup=/proc/1/ns/cgroup", "--", sys.executable, "-m", guardian.MODULE]
    command += [_MARK + act.id, f"{act.longest_s:g}"]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    _guardians[act.id] = child
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(named) + "\n")
    child.stdin.flush()
    readable, _, _ = select.select([child.stdout], [], [], _TIMEOUT_S)
    line = child.stdout.readline() if readable else ""
    entered = json.loads(line) if line.strip() else []
    if not entered:
        raise EnvironmentFailedError(f"the guardian of act {act.id}: it could not leave the agent's cgroups")
    return list(entered)
