"""Node access: the power to act on a node itself, which only some environments' providers have."""

from __future__ import annotations

from typing import Protocol


class NodeAccess(Protocol):
    """Acts on the nodes of a cluster; a provider without it leaves the faults that need it refused."""

    def kill_container(self, node: str, container_id: str) -> None:
        """Send SIGKILL to every process of the container (full id, without the runtime's prefix).

        Raises EnvironmentFailedError when the container is not found on that node.
        """
