"""The application on the metrics port: for Prometheus and the kubelet, not for clients."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ecochain_kit.draining import Drain
from ecochain_kit.logs import LOG
from ecochain_kit.metrics import Metrics
from ecochain_kit.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LONGEST_DRAIN_S = 60.0


def build(metrics: Metrics, drain: Drain) -> ASGIApp:
    """Return the application with /metrics, and /drain for the preStop hook."""

    async def series(_request: Request) -> Response:
        metrics.draining.set(drain.active)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def leave(request: Request) -> Response:
        """Drain, and answer only after the seconds asked for: the kubelet's hook waits for the answer."""
        given = request.query_params.get("seconds", "")
        try:
            seconds = float(given)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds <= LONGEST_DRAIN_S:
            detail = f"seconds: expected a number from 0 to {LONGEST_DRAIN_S:g}, got {given[:40]!r}"
            return Problem(400, "invalid-seconds", detail).response()
        LOG.info("drain begins", extra={"fields": {"seconds": seconds}})
        drain.begin(seconds)
        await asyncio.sleep(seconds)
        return JSONResponse({"status": "drained", "seconds": seconds})

    return Starlette(routes=[Route("/metrics", series), Route("/drain", leave)])
