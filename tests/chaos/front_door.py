"""A front door in memory, with the operations that the bookkeeper uses; parts of it can be made to lie."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx


class FrontDoor:
    """Tenants, listings, orders and pickups; `spoil` may answer instead, before or after the work is done."""

    def __init__(self) -> None:
        self.listings: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.pickups: dict[str, dict[str, Any]] = {}
        self.users = 0
        self.removed: list[str] = []
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
        self.after: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
        self.takes = 1
        self._lock = threading.Lock()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url="http://door", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            spoiled = self.before(request)
            if spoiled is not None:
                return spoiled
            answer = self._right(request)
            return self.after(request) or answer

    def _right(self, request: httpx.Request) -> httpx.Response:  # noqa: PLR0911
        who = request.headers.get("authorization", "").removeprefix("Bearer ")
        body = json.loads(request.content) if request.content else {}
        key = request.headers.get("idempotency-key", "")
        match request.method, request.url.path:
            case "POST", "/auth/tenants" | "/auth/register":
                self.users += 1
                name = f"user-{self.users}"
                grant = {"token": name, "user_id": name, "tenant": "t1", "refresh_token": None}
                return httpx.Response(201, json=grant)
            case "POST", "/auth/login":
                return httpx.Response(401 if "/auth/tenant" in self.removed else 200, json={})
            case "POST", "/listings":
                number = f"l{len(self.listings)}"
                self.listings[number] = {"id": number, **body}
                return httpx.Response(201, json=self.listings[number])
            case "GET", path if path.startswith("/listings/"):
                return httpx.Response(200, json=self.listings[path.rpartition("/")[2]])
            case "POST", "/orders":
                return self._order(who, key, body)
            case "POST", "/pickups":
                fresh = key not in self.pickups
                self.pickups.setdefault(key, {"id": f"p-{key}"})
                return httpx.Response(201 if fresh else 200, json=self.pickups[key])
            case "GET", "/orders":
                mine = [order for order in self.orders.values() if order["buyer"] == who]
                return httpx.Response(200, json={"items": mine, "next": None})
            case "GET", "/pickups":
                return httpx.Response(200, json={"items": list(self.pickups.values()), "next": None})
            case "DELETE", path:
                self.removed.append(path)
                users = {"users": self.users} if path == "/auth/tenant" else {}
                return httpx.Response(200, json={"removed": users})
        return httpx.Response(404)

    def _order(self, who: str, key: str, body: dict[str, Any]) -> httpx.Response:
        if key in self.orders:
            return httpx.Response(200, json=self.orders[key])
        listing = self.listings[body["listing_id"]]
        if listing["stock"] < 1:
            return httpx.Response(409, json={"type": "out-of-stock"})
        listing["stock"] -= self.takes
        made = {"id": f"o-{key}", "buyer": who, "status": "placed", **body}
        self.orders[key] = made
        return httpx.Response(201, json=made)
