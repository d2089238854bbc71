"""What surrounds every request: its id, headers, measures, log line, and the drain."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING

from auth_service.draining import Drain
from auth_service.logs import LOG
from auth_service.metrics import Metrics
from auth_service.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_QUIET = frozenset({"/health", "/ready"})  # Asked every second by the kubelet; logged only when not 200.


def request_id(scope: Scope) -> str:
    """Return the id that `Observed` gave the request."""
    return str(scope.get("state", {}).get("request_id", ""))


class Observed:
    """Wraps an application; also turns an exception that escaped it into one 500, logged with its trace."""

    def __init__(
        self,
        inner: ASGIApp,
        *,
        routes: Collection[str],
        headers: Collection[tuple[bytes, bytes]],
        metrics: Metrics,
        drain: Drain,
    ) -> None:
        self._inner, self._routes, self._headers = inner, frozenset(routes), list(headers)
        self._metrics, self._drain = metrics, drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        identity = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex.encode()
        scope.setdefault("state", {})["request_id"] = identity.decode()
        started_s, status = time.perf_counter(), 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                marked = [*message.get("headers", []), *self._headers, (b"x-request-id", identity)]
                if self._drain.active:
                    marked.append((b"connection", b"close"))
                message = {**message, "headers": marked}
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self._inner(scope, receive, send_marked)
            except Exception:  # noqa: BLE001 -- the last resort, logged with its trace
                LOG.exception("unexpected error", extra={"fields": {"request_id": identity.decode()}})
                if not status:
                    unexpected = Problem(500, "unexpected", "an error of the service, not of the request")
                    await unexpected.response(identity.decode())(scope, receive, send_marked)
        seconds = time.perf_counter() - started_s
        route = scope["path"] if scope["path"] in self._routes else "unmatched"
        self._metrics.answered(scope["method"], route, status, seconds)
        if route not in _QUIET or status != 200:
            fields = {
                "request_id": identity.decode(),
                "method": scope["method"][:16],
                "path": scope["path"][:200],
                "status": status,
                "milliseconds": round(seconds * 1000, 3),
            }
            LOG.info("request", extra={"fields": fields})
