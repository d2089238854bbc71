"""The means of a fault: agents on the nodes, powers of the provider. Without them it is refused by name."""

from __future__ import annotations

from chaos.agents import Agents
from chaos.fault import Place
from chaos.powers import Powers
from core.errors import RefusedError


def agents_of(place: Place, fault: str) -> Agents:
    """Return the agents; RefusedError where there are none."""
    if place.agents is None:
        raise RefusedError(
            f"fault {fault} needs an agent on the nodes of environment {place.guard.environment!r}, "
            "which is not installed"
        )
    return place.agents


def powers_of(place: Place, fault: str, power: str, why: str) -> Powers:
    """Return the provider's powers if `power` is among them; RefusedError says `why` it may be missing."""
    if place.powers is None or power not in place.powers.offers():
        offered = sorted(place.powers.offers()) if place.powers is not None else []
        raise RefusedError(
            f"fault {fault} needs the power {power}, which the provider of environment "
            f"{place.guard.environment!r} does not have ({why}); it offers {', '.join(offered) or 'none'}"
        )
    return place.powers
