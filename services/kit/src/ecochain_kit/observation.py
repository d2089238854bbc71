"""What surrounds every request: its id, headers, measures, log line, body limit, deadline, and the drain."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecochain_kit.draining import Drain
from ecochain_kit.logs import LOG
from ecochain_kit.metrics import Metrics
from ecochain_kit.problems import Problem

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_MILLISECONDS = re.compile(rb"[0-9]{1,6}")
_QUIET = frozenset({"/health", "/ready"})  # Asked every second by the kubelet; logged only when not 200.
LONGEST_REQUEST_S = 10.0


def request_id(scope: Scope) -> str:
    """Return the id that `Observed` gave the request."""
    return str(scope.get("state", {}).get("request_id", ""))


class Observed:
    """Wraps an application; also turns an exception that escaped it into one 500, logged with its trace."""

    def __init__(
        self,
        inner: ASGIApp,
        *,
        headers: Collection[tuple[bytes, bytes]],
        metrics: Metrics,
        drain: Drain,
        largest_body_bytes: int,
    ) -> None:
        self._inner, self._headers = inner, list(headers)
        self._metrics, self._drain, self._largest = metrics, drain, largest_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        sent = dict(scope["headers"])
        given = sent.get(b"x-request-id", b"")
        identity = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex.encode()
        state = scope.setdefault("state", {})
        state["request_id"] = identity.decode()
        state["deadline_s"] = time.monotonic() + _seconds_left(sent.get(b"x-deadline-ms", b""))
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
                await self._inner(scope, _limited(receive, sent, self._largest), send_marked)
            except Exception as error:  # noqa: BLE001 -- the last resort, logged with its trace
                if not isinstance(error, Problem):
                    LOG.exception("unexpected error", extra={"fields": {"request_id": identity.decode()}})
                    error = Problem(500, "unexpected", "an error of the service, not of the request")
                if not status:
                    await error.response(identity.decode())(scope, receive, send_marked)
        seconds = time.perf_counter() - started_s
        # The router leaves the route that matched; its path is a template, so that series stay few.
        route = getattr(scope.get("route"), "path", "unmatched")
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


def _seconds_left(given: bytes) -> float:
    """Return how long the caller still waits, at most LONGEST_REQUEST_S."""
    return min(int(given) / 1000, LONGEST_REQUEST_S) if _MILLISECONDS.fullmatch(given) else LONGEST_REQUEST_S


def _limited(receive: Receive, headers: dict[bytes, bytes], largest: int) -> Receive:
    """Return `receive` that raises Problem 413 as soon as the body is known to be too large."""
    told = headers.get(b"content-length", b"0")
    seen = int(told) if told.isdigit() else 0

    async def counted() -> Message:
        nonlocal seen
        if seen > largest:
            raise Problem(413, "too-large", f"expected a body of at most {largest} bytes")
        message = await receive()
        if not told.isdigit() or b"content-length" not in headers:
            seen += len(message.get("body", b""))
            if seen > largest:
                raise Problem(413, "too-large", f"expected a body of at most {largest} bytes")
        return message

    return counted
