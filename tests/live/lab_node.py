"""Acting on the lab's nodes as only their host can: by their cgroups."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from core.errors import EnvironmentFailedError
from lab import cgroups, record


@dataclass(frozen=True)
class LabNodeAccess:
    """Access to the nodes of the lab of this name."""

    lab: str

    def kill_container(self, node: str, container_id: str) -> None:
        """Send SIGKILL to every process of the container (full id, without the runtime's prefix).

        Raises EnvironmentFailedError when the container has no process on that node.
        """
        found = record.read(self.lab)
        if found is None:
            raise EnvironmentFailedError(f"lab {self.lab} is not there")
        group = _group_of(f"{found.plan.cgroup}/{node}", container_id)
        pids = cgroups.pids(group) if group else set()
        if not pids:
            raise EnvironmentFailedError(
                f"lab {self.lab}: node {node} has no process of container {container_id}"
            )
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # the first kill ended the others: they shared its PID namespace


def _group_of(node_group: str, container_id: str) -> str | None:
    for _, root in cgroups.hierarchies():
        for folder, names, _ in os.walk(root / node_group):
            for name in names:
                if container_id in name:
                    return str(Path(folder, name).relative_to(root))
    return None
