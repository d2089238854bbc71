"""What a service needs to be ready, and how it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

CHECK_TIMEOUT_S = 0.8


class Dependency(Protocol):
    """Something a service depends on; without a required one it is not ready, without another degraded."""

    @property
    def name(self) -> str:
        """Its name in /ready."""

    @property
    def required(self) -> bool:
        """Whether the service is of no use without it."""

    async def reachable(self) -> bool:
        """Tell whether it answers now; ends by itself within seconds, since nobody cancels it."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Something that must accept a TCP connection."""

    host: str
    port: int
    required: bool = True

    @property
    def name(self) -> str:
        """Return host:port."""
        return f"{self.host}:{self.port}"

    async def reachable(self) -> bool:
        """Tell whether a connection is accepted."""
        try:
            connecting = asyncio.open_connection(self.host, self.port)
            _, writer = await asyncio.wait_for(connecting, CHECK_TIMEOUT_S)
        except OSError:  # a time-out is one
            return False
        writer.close()
        return True


async def states(dependencies: Sequence[Dependency]) -> dict[str, str]:
    """Return the state of each: ok, unreachable (required), degraded."""

    async def state(one: Dependency) -> str:
        # Not cancelled when its time is over: PyMongo's client then loses its lock (seen with Python 3.11.2),
        # and never finds the store again. Every check ends by itself a little later.
        look = asyncio.ensure_future(one.reachable())
        done, _ = await asyncio.wait({look}, timeout=CHECK_TIMEOUT_S)
        well = bool(done) and look.result()
        return "ok" if well else "unreachable" if one.required else "degraded"

    found = await asyncio.gather(*(state(one) for one in dependencies))
    return {one.name: told for one, told in zip(dependencies, found, strict=True)}
