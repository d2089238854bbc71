"""Killing a container, by the agent on its node."""

from __future__ import annotations

from chaos.agents import Act
from chaos.fault import Place
from chaos.means import agents_of
from chaos.targets import Target
from core.errors import InconclusiveError, RefusedError

_LONGEST_S = 30.0


def kill(place: Place, fault: str, target: Target) -> None:
    """Send SIGKILL to every process of the target's container.

    InconclusiveError when it has ended already.
    """
    act = Act(
        id=f"{fault}-{target.container_id[:16]}",
        kind="signal_container",
        node=target.node,
        container_id=target.container_id,
        longest_s=_LONGEST_S,
    )
    try:
        agents_of(place, fault).begin(act)
    except RefusedError as error:
        raise InconclusiveError(f"pod {target.pod}: its container could not be killed: {error}") from error
