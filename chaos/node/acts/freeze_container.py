"""freeze_container: SIGSTOP to every process of a container; SIGCONT undoes it.

Its connections stay open and its address stays taken: a hang, not a crash.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from chaos.agents import Act
from chaos.node import processes
from chaos.node.act_kind import Note
from core.errors import MisuseError
from core.waiting import wait_until

KIND = "freeze_container"
LASTS = True
_TIMEOUT_S = 5.0


def check(act: Act) -> None:
    """Refuse a container without a process, and parameters: it has none."""
    if act.params:
        raise MisuseError(f"{KIND}: expected no parameters, got {sorted(act.params)}")
    processes.main_of(act.container_id)


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Stop all its processes, and those that they started meanwhile, and see them stopped."""
    stopped_before = [p.id.pid for p in processes.of_container(act.container_id) if p.stopped]
    note(stopped_before=stopped_before)

    def all_stopped() -> list[processes.Process] | None:
        found = processes.of_container(act.container_id)
        running = [process for process in found if not process.stopped]
        for process in running:
            process.id.signal(signal.SIGSTOP)
        return found if found and not running else None

    stopped = wait_until(
        f"every process of container {act.container_id} to be stopped",
        all_stopped,
        _TIMEOUT_S,
        interval_s=0.005,
        last=lambda: [p.described() for p in processes.of_container(act.container_id)],
    )
    return {"stopped": [process.described() for process in stopped]}


def end(act: Act, noted: Mapping[str, Any]) -> None:
    """Let its processes go on, but for those that had been stopped before."""
    for process in processes.of_container(act.container_id):
        if process.id.pid not in noted.get("stopped_before", []):
            process.id.signal(signal.SIGCONT)


def remainders() -> list[Mapping[str, Any]]:
    """Return the processes of pods that are stopped."""
    return [
        {"where": f"process {process.id.pid} ({process.name})", "what": "stopped by a signal"}
        for process in processes.of_pods()
        if process.stopped
    ]
