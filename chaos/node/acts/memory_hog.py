"""memory_hog: a process in a container's memory group that holds memory, up to the OOM kill of the container.

`mode` is "share" (until the working set is `share` of the limit) or "oom_kill" (until the container's main
process is dead). What it holds belongs to the group and to no process, so that the victim is the service's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos.agents import Act
from chaos.node import groups, hog_handle, processes
from chaos.node.act_kind import Note
from core.errors import MisuseError, RefusedError

KIND = "memory_hog"
LASTS = True
_MODES = ("share", "oom_kill")
_KILLS_THE_ALLOCATOR = Path("/proc/sys/vm/oom_kill_allocating_task")


def check(act: Act) -> None:
    """Refuse a container without a limit, or with more in use than is asked for."""
    if set(act.params) - {"mode", "share"}:
        raise MisuseError(f"{KIND}: expected the parameters mode and share, got {sorted(act.params)}")
    mode = act.params.get("mode")
    if mode not in _MODES:
        raise MisuseError(f"{KIND}: mode: expected one of {', '.join(_MODES)}, got {mode!r}")
    memory = groups.of_container(act.container_id).memory()
    if memory.limit_bytes is None:
        raise RefusedError(
            f"container {act.container_id} has no memory limit: what {KIND} takes would be its neighbours'"
        )
    if mode == "share":
        if _wanted(act, memory) <= 0:
            raise RefusedError(
                f"container {act.container_id} uses {memory.working_set_bytes} of {memory.limit_bytes} "
                f"bytes, no less than the share {act.params['share']} of its limit"
            )
    elif "share" in act.params:
        raise MisuseError(f"{KIND}: share: expected none with mode oom_kill, got {act.params['share']!r}")
    elif _KILLS_THE_ALLOCATOR.read_text().strip() != "0":
        raise RefusedError(f"{KIND}: {_KILLS_THE_ALLOCATOR} is set: the OOM killer would kill the hog")


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Take the memory; with mode oom_kill it is still being taken when this returns."""
    group = groups.of_container(act.container_id)
    memory = group.memory()
    note(mode=act.params["mode"])
    said = hog_handle.start(
        act,
        "memory",
        {
            "container_pid": processes.main_of(act.container_id).id.pid,
            "rivals": [process.id.pid for process in processes.of_container(act.container_id)],
            "joins": [str(file) for file in group.joined_by(["memory"])],
            "limit_bytes": memory.limit_bytes,
            "bytes": _wanted(act, memory),
            "oom": act.params["mode"] == "oom_kill",
        },
    )
    return {"hogs": said["pids"], "badness": said["badness"], "before": asdict(memory)}


def end(act: Act, noted: Mapping[str, Any]) -> None:  # noqa: ARG001 - its mark has the act's id
    """End it, and with it what it holds."""
    hog_handle.end(act.id)


def remainders() -> list[Mapping[str, Any]]:
    """Return the processes that hold memory for a fault, and their supervisors."""
    return [
        {"where": f"process {process.id.pid}", "what": "holds memory for a fault"}
        for process in hog_handle.found("memory")
    ]


def _wanted(act: Act, memory: groups.Memory) -> int:
    limit = memory.limit_bytes or 0
    if act.params["mode"] == "oom_kill":
        return limit  # more than fits beside what is in use
    share = act.params.get("share")
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share < 1:
        raise MisuseError(f"{KIND}: share: expected 0 < share of the limit < 1, got {share!r}")
    return int(limit * share) - memory.working_set_bytes
