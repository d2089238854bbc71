"""The services of waste as processes: pickups, pictures, market, and those that they stand on."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any
from uuid import uuid4

import httpx
from answers import Front
from platform_under_test import Replica
from vision_service.pictures import picture

HELD_OUT = 7_000_000


class Market(Front):
    """A client whose people can be asked for again, and of another tenant beside it."""

    @cached_property
    def _people(self) -> dict[str, dict[str, Any]]:
        return {}

    def known(self, name: str, role: str = "citizen") -> dict[str, Any]:
        """Return the grant of a person of the tenant, registered when first asked for."""
        if name not in self._people:
            self._people[name] = self.person(f"known-{name}", role)
        return self._people[name]

    def other(self) -> Market:
        """Return a client in a tenant of its own."""
        return Market(client=self.client, tag=uuid4().hex[:8])


@cache
def png(label: str, seed: int = HELD_OUT) -> bytes:
    """Return a picture of a kind of waste that the model was not taught."""
    stream = io.BytesIO()
    picture(label, seed).save(stream, "PNG")
    return stream.getvalue()


def text_of(data: bytes) -> str:
    """Return base64."""
    return base64.b64encode(data).decode()


def at_once(asks: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """Send all at the same moment."""
    with ThreadPoolExecutor(len(asks)) as threads:
        return [future.result() for future in [threads.submit(ask) for ask in asks]]


def series(replica: Replica, name: str) -> float:
    """Return the value of a series of a replica, with its labels; 0 where there is none."""
    text = httpx.get(f"http://127.0.0.1:{replica.metrics_port}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


@contextmanager
def lost(replica: Replica) -> Iterator[None]:
    """Be without a service for a while."""
    replica.kill()
    try:
        yield
    finally:
        replica.start()
        replica.wait_ready()


def key() -> dict[str, str]:
    """Return the header of a new idempotency key."""
    return {"idempotency-key": uuid4().hex}


def offer(front: Market, seller: dict[str, Any], stock: int = 5, **more: Any) -> dict[str, Any]:
    """Make a listing."""
    body = {"title": "Jars", "price_cents": 250, "stock": stock, "waste_type": "glass", **more}
    answer = front.ask("POST", "/listings", seller, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def stock_of(front: Market, who: dict[str, Any], listing: dict[str, Any]) -> int:
    """Return what is left."""
    return int(front.ask("GET", f"/listings/{listing['id']}", who).json()["stock"])
