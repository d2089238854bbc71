"""Calls of other services: one deadline for all tries, and only what is safe is tried again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

import httpx
from fastapi import Request

from ecochain_kit.metrics import Metrics
from ecochain_kit.observation import request_id

CALL_S, TRIES, PAUSE_S = 2.0, 3, 0.05
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_PASSING = frozenset({502, 503, 504})
# For each request the pool looks at every idle connection, and for each of those at all others. With fifty
# that an outage had left, the front door needed twice the processor and never got rid of them.
_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=8, keepalive_expiry=30)


class UpstreamLostError(Exception):
    """The other service gave no usable answer in time."""


class Upstream:
    """Another service. Its answers, good or bad, are returned; none in time raises UpstreamLostError."""

    def __init__(self, name: str, base_url: str, metrics: Metrics, *, call_s: float = CALL_S) -> None:
        self.name, self._metrics, self._call_s = name, metrics, call_s
        self._client = httpx.AsyncClient(base_url=base_url, limits=_LIMITS, trust_env=False)

    async def call(
        self,
        request: Request,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        **what: Any,
    ) -> httpx.Response:
        """Send `method path` on behalf of `request`, with its id, token and what is left of its time.

        `repeatable` says that a second try does no harm; by default it follows from the method. What was
        never sent, because no connection was had, is tried again in any case.
        """
        until_s = min(time.monotonic() + self._call_s, request.state.deadline_s)
        if repeatable is None:
            repeatable = method in _SAFE
        for attempt in range(TRIES):
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                break
            sent = {
                "x-request-id": request_id(request.scope),
                "x-deadline-ms": str(max(1, int(left_s * 1000))),
            }
            if "authorization" in request.headers:
                sent["authorization"] = request.headers["authorization"]
            started_s, result = time.perf_counter(), "lost"
            try:
                async with asyncio.timeout(left_s):  # httpx's own time-out starts again with every phase
                    answer = await self._client.request(
                        method, path, headers={**sent, **(headers or {})}, timeout=left_s, **what
                    )
                result = "answered" if answer.status_code < 500 else "failed"
                if answer.status_code not in _PASSING or not repeatable or attempt == TRIES - 1:
                    return answer
            except (httpx.ConnectError, httpx.ConnectTimeout):
                pass
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                if not repeatable:
                    raise UpstreamLostError(f"{self.name}: {type(error).__name__}") from error
            finally:
                self._metrics.calls.labels(self.name, result).observe(time.perf_counter() - started_s)
            pause_s = PAUSE_S * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311 -- jitter, not a secret
            await asyncio.sleep(min(pause_s, max(0.0, until_s - time.monotonic())))
        raise UpstreamLostError(f"{self.name}: no answer in time")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
