"""Looking at dependencies: bounded in time, and without cancelling a driver in the middle of its work."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from ecochain_kit.dependencies import CHECK_TIMEOUT_S, Address, states


@dataclass
class Slow:
    """A dependency that answers late."""

    answer_s: float
    name: str = "mongodb"
    required: bool = True
    ends: list[str] = field(default_factory=list)

    async def reachable(self) -> bool:
        try:
            await asyncio.sleep(self.answer_s)
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise
        self.ends.append("by itself")
        return True


def test_a_check_that_takes_too_long_is_unreachable_and_is_not_cancelled() -> None:
    """A driver that is cancelled while it waits for its server may never find it again."""
    slow = Slow(CHECK_TIMEOUT_S + 0.3)

    async def look() -> tuple[dict[str, str], float]:
        began_s = time.monotonic()
        told = await states([slow, Slow(0.0, name="redis", required=False)])
        took_s = time.monotonic() - began_s
        await asyncio.sleep(0.6)
        return told, took_s

    told, took_s = asyncio.run(look())
    assert told == {"mongodb": "unreachable", "redis": "ok"}
    assert took_s < CHECK_TIMEOUT_S + 0.25
    assert slow.ends == ["by itself"]


def test_whoever_asked_may_go_without_cancelling_the_check() -> None:
    """The kubelet that hangs up early is no reason either."""
    slow = Slow(0.3)

    async def look() -> None:
        asking = asyncio.ensure_future(states([slow]))
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.sleep(0.5)

    asyncio.run(look())
    assert slow.ends == ["by itself"]


def test_an_address_that_nobody_answers_at_is_unreachable() -> None:
    """A refused connection is told at once."""
    assert asyncio.run(states([Address(host="127.0.0.1", port=1)])) == {"127.0.0.1:1": "unreachable"}
