"""The platform's front door in one small process: what the journeys need, strict about what they send."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import Any, Self

_STEPS = {
    "schedule": ("requested", "scheduled", "citizen"),
    "assign": ("scheduled", "assigned", "collector"),
    "complete": ("assigned", "completed", "collector"),
}


class RefusedError(Exception):
    """An answer that is no success."""


class PlatformDouble:
    """Answers as the contract says; with a `defect`, wrong in one way.

    `seen` counts what was asked for, by method, path with {id}, and status. A token is valid `life_s`.
    """

    def __init__(self, defect: str = "", *, stock: int = 1000, life_s: int = 900) -> None:
        self.defect, self.stock, self.life_s = defect, stock, life_s
        self.seen: Counter[tuple[str, int]] = Counter()
        self._accounts: dict[str, str] = {}
        self._tokens: dict[str, tuple[str, str]] = {}
        self._refresh: dict[str, str] = {}
        self._profiles: dict[str, Any] = {}
        self._listings: dict[str, dict[str, Any]] = {}
        self._orders: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, dict[str, Any]] = {}
        self._pickups: dict[str, dict[str, Any]] = {}
        self._numbers, self._lock = count(1), threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with server._lock:
                    try:
                        status, body = server._handle(self.command, self.path, dict(self.headers), raw)
                    except RefusedError as refused:
                        status, body = refused.args[0], {"title": "refused"}
                    named = re.sub(r"/\d+", "/{id}", self.path.partition("?")[0])
                    server.seen[(f"{self.command} {named}", status)] += 1
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def requests(self) -> int:
        return sum(self.seen.values())

    def asked(self) -> set[str]:
        """Return what was asked for and granted."""
        return {what for what, status in self.seen if status < 400}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handle(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, Any]:
        plain = path.partition("?")[0]
        kind = headers.get("Content-Type", "")
        sent = json.loads(raw) if raw and kind.startswith("application/json") else {}
        if method == "POST" and plain in {"/auth/register", "/auth/login", "/auth/refresh"}:
            return self._grant(plain, sent)
        owner, role = self._tokens.get(headers.get("Authorization", "").removeprefix("Bearer "), ("", ""))
        if not owner:
            raise RefusedError(401)
        room = plain.split("/")[1]
        rooms = {
            "auth": self._verify,
            "users": self._users,
            "listings": self._market,
            "orders": self._order,
            "pickups": self._pickup,
            "vision": self._vision,
        }
        if room not in rooms:
            raise RefusedError(404)
        return rooms[room](method, plain, owner, role, headers, sent, raw)

    def _grant(self, path: str, sent: dict[str, Any]) -> tuple[int, Any]:
        if path == "/auth/refresh":
            email = self._refresh.pop(sent["refresh_token"], "")
            if not email:
                raise RefusedError(401)
        else:
            email = sent["email"]
            if (email in self._accounts) == (path == "/auth/register") or len(sent["password"]) < 8:
                raise RefusedError(409)
            if path == "/auth/register":
                self._accounts[email] = sent["role"]
        token, refresh = f"t{next(self._numbers)}", f"r{next(self._numbers)}"
        self._tokens[token] = (email, self._accounts[email])
        self._refresh[refresh] = email
        body = {"token": token, "refresh_token": refresh, "expires_in": self.life_s}
        return (201 if path == "/auth/register" else 200), ({} if self.defect == "no token" else body)

    def _verify(self, _method: str, path: str, owner: str, *_: Any) -> tuple[int, Any]:
        return (200, {"email": owner}) if path == "/auth/verify" else (404, {})

    def _users(
        self, method: str, _path: str, owner: str, _role: str, _headers: Any, sent: Any, _raw: Any
    ) -> tuple[int, Any]:
        if method == "PUT":
            self._profiles[owner] = {"name": sent["name"], "address": sent["address"]}
        if owner not in self._profiles:
            raise RefusedError(404)
        return 200, self._profiles[owner]

    def _market(
        self, method: str, path: str, _owner: str, _role: str, _headers: Any, sent: Any, _raw: Any
    ) -> tuple[int, Any]:
        if method == "POST":
            number = str(next(self._numbers))
            assert {"title", "price_cents", "waste_type"} <= sent.keys()
            self._listings[number] = {"id": number, "left": min(sent["stock"], self.stock)}
            return 201, self._listings[number]
        if path == "/listings":
            return 200, {"items": list(self._listings.values())[:20], "next": None}
        return 200, self._listings[path.rpartition("/")[2]]

    def _order(
        self, method: str, _path: str, _owner: str, _role: str, headers: Any, sent: Any, _raw: Any
    ) -> tuple[int, Any]:
        if method == "GET":
            return 200, {"items": [], "next": None}
        key = headers["Idempotency-Key"]
        if key in self._keys and self.defect != "orders twice":
            return 200, self._keys[key]
        listing = self._listings[sent["listing_id"]]
        if listing["left"] < sent["quantity"]:
            raise RefusedError(409)
        listing["left"] -= sent["quantity"]
        again = key in self._keys
        self._keys[key] = {"id": str(next(self._numbers)), "status": "placed"}
        return (200 if again else 201), self._keys[key]

    def _pickup(
        self, method: str, path: str, owner: str, role: str, _headers: Any, sent: Any, _raw: Any
    ) -> tuple[int, Any]:
        if method == "GET":
            if path == "/pickups/open" and role != "collector":
                raise RefusedError(403)
            found = self._pickups.get(path.rpartition("/")[2])
            return 200, found or {"items": [], "next": None}
        if path == "/pickups":
            if owner not in self._profiles:  # no address given, and none known
                raise RefusedError(422)
            number = str(next(self._numbers))
            self._pickups[number] = {"id": number, "status": "requested", "waste": sent["waste_type"]}
            return 201, self._pickups[number]
        _, _, number, step = path.split("/")
        before, after, whose = _STEPS[step]
        pickup = self._pickups[number]
        if pickup["status"] != before or role != whose:
            raise RefusedError(409)
        pickup["status"] = before if self.defect == "stuck pickup" else after
        return 200, pickup

    def _vision(
        self, method: str, _path: str, _owner: str, _role: str, headers: Any, _sent: Any, raw: bytes
    ) -> tuple[int, Any]:
        if method == "GET":
            return 200, {"version": "1", "classes": ["glass"]}
        if headers.get("Content-Type") != "image/png" or not raw.startswith(b"\x89PNG"):
            raise RefusedError(415)
        return 200, {"label": "glass"} | ({} if self.defect == "unsure" else {"confidence": 0.9})
