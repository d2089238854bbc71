"""signal_container: SIGKILL to every process of a container, which is what an OOM kill or a crash is."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from chaos.agents import Act
from chaos.node import processes
from chaos.node.act_kind import Note
from core.errors import MisuseError

KIND = "signal_container"
LASTS = False


def check(act: Act) -> None:
    """Refuse a container without a process, and parameters: it has none."""
    if act.params:
        raise MisuseError(f"{KIND}: expected no parameters, got {sorted(act.params)}")
    processes.main_of(act.container_id)


def begin(act: Act, note: Note) -> Mapping[str, Any]:  # noqa: ARG001 - nothing is to be undone
    """Kill them all at once: the main one first, which ends the others of its PID namespace."""
    main = processes.main_of(act.container_id)
    found = processes.of_container(act.container_id)
    for process in [main, *found]:
        process.id.signal(signal.SIGKILL)
    return {"killed": [process.described() for process in found]}


def end(act: Act, noted: Mapping[str, Any]) -> None:
    """Do nothing: kubelet starts the container again."""


def remainders() -> list[Mapping[str, Any]]:
    """Return nothing: a dead process leaves nothing."""
    return []
