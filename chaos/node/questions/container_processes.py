"""processes: the states and starts of a container's processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.node import processes

NAME = "processes"


def ask(*, container_id: str) -> Mapping[str, Any]:
    """Return {processes: [{pid, start_ticks, name, state}]}, the oldest first; none when it has ended."""
    return {"processes": [process.described() for process in processes.of_container(container_id)]}
