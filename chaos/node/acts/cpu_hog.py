"""cpu_hog: busy processes in a container's cpu group, which eat of its own limit and of nobody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from chaos.agents import Act
from chaos.node import groups, hog_handle, processes
from chaos.node.act_kind import Note
from core.errors import MisuseError, RefusedError

KIND = "cpu_hog"
LASTS = True
_MOST = 32


def check(act: Act) -> None:
    """Refuse a container without a limit, since its hogs would take the node's; `count` is 1 to 32."""
    if set(act.params) - {"count"}:
        raise MisuseError(f"{KIND}: expected the parameter count, got {sorted(act.params)}")
    _count(act)
    if groups.of_container(act.container_id).cpu().limit_cores is None:
        raise RefusedError(
            f"container {act.container_id} has no CPU limit: what {KIND} eats would be its neighbours'"
        )


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Start them and see them in the container's groups."""
    group = groups.of_container(act.container_id)
    before = group.cpu()
    note(count=_count(act))
    joins = group.joined_by(one for one in ("cpu", "cpuacct", "cpuset") if one in group.folders)
    said = hog_handle.start(
        act,
        "cpu",
        {
            "container_pid": processes.main_of(act.container_id).id.pid,
            "joins": [str(file) for file in joins],
            "count": _count(act),
        },
    )
    return {"hogs": said["pids"], "before": asdict(before)}


def end(act: Act, noted: Mapping[str, Any]) -> None:  # noqa: ARG001 - their mark has the act's id
    """End them."""
    hog_handle.end(act.id)


def remainders() -> list[Mapping[str, Any]]:
    """Return the busy processes that live, and their supervisors."""
    return [
        {"where": f"process {process.id.pid}", "what": "eats processor time for a fault"}
        for process in hog_handle.found("cpu")
    ]


def _count(act: Act) -> int:
    count = act.params.get("count", 4)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST:
        raise MisuseError(f"{KIND}: count: expected 1 to {_MOST} processes, got {count!r}")
    return count
