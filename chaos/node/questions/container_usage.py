"""usage: what a container uses of processor and memory, by its cgroups' counts and its processes' own."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos.node import groups, hog_handle, processes

NAME = "usage"


def ask(*, container_id: str) -> Mapping[str, Any]:
    """Return {at_s, cpu, memory, hogs, node}.

    `at_s` is the node's monotonic clock; `cpu` and `memory` the fields of groups.Cpu and .Memory; `hogs`
    {count, used_s}, the busy processes that an act put in its groups; `node` {idle_s, cores}.
    """
    group = groups.of_container(container_id)
    inside = {one.id.pid for one in processes.of_container(container_id)}
    hogs = [one.id.pid for one in hog_handle.found("cpu") if one.id.pid in inside]
    return {
        "at_s": time.monotonic(),
        "cpu": asdict(group.cpu()),
        "memory": asdict(group.memory()),
        "hogs": {"count": len(hogs), "used_s": sum(map(_used_s, hogs))},
        "node": {"idle_s": _idle_s(), "cores": os.cpu_count()},
    }


def _used_s(pid: int) -> float:
    try:
        fields = (processes.PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0  # it ended meanwhile
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _idle_s() -> float:
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
