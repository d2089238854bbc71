"""The process: two listeners on one event loop, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

import h11
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from auth_service import application, operations
from auth_service.draining import Drain
from auth_service.logs import LOG, configure
from auth_service.metrics import Metrics
from auth_service.problems import MEDIA_TYPE, Problem
from auth_service.settings import BadSettingError, Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

KEEP_ALIVE_S = 75  # Longer than a client or balancer keeps one (60 s), so that it is they who close.
LONGEST_REQUEST_S = 15  # What SIGTERM waits for; shorter than the chart's grace period.


class _Listener(Server):
    """A uvicorn server that leaves the signals to the process, which has two of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _protocol(headers: Sequence[tuple[bytes, bytes]]) -> type[H11Protocol]:
    class Protocol(H11Protocol):
        """Answers what is not HTTP as every other error, with the headers that say who answered."""

        def send_400_response(self, msg: str) -> None:
            body = Problem(400, "malformed-request", msg).body()
            head = [
                *headers,
                (b"content-type", MEDIA_TYPE.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            for event in (
                h11.Response(status_code=400, headers=head, reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

    return Protocol


def _listener(app: ASGIApp, port: int, headers: Sequence[tuple[bytes, bytes]], grace_s: int) -> _Listener:
    return _Listener(
        Config(
            app,
            host="0.0.0.0",  # noqa: S104 -- a pod's own address is not known beforehand
            port=port,
            http=_protocol(headers),
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=grace_s,
        )
    )


async def _serve(settings: Settings, wrap: Callable[[ASGIApp], ASGIApp]) -> None:
    drain, metrics = Drain(), Metrics(settings.version, settings.pod_name)
    headers = application.identity_headers(settings)
    public = _listener(
        application.build(settings, metrics, drain, wrap), settings.port, headers, LONGEST_REQUEST_S
    )
    private = _listener(operations.build(metrics, drain), settings.metrics_port, headers, 1)

    def stop() -> None:
        LOG.info("stopping")
        drain.terminate()
        public.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    LOG.info("starting", extra={"fields": {"port": settings.port, "metrics_port": settings.metrics_port}})
    side = asyncio.create_task(private.serve())
    await public.serve()
    private.should_exit = True
    await side
    LOG.info("stopped")


def main(wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app) -> int:
    """Serve until SIGTERM or SIGINT, then finish what is in flight; returns the exit status.

    `wrap` lets a variant build stand in front of the application; the shipped service passes none.
    """
    try:
        settings = Settings.read(os.environ)
    except BadSettingError as error:
        configure()
        LOG.critical("bad setting: %s", error)
        return 2
    configure(service="auth-service", version=settings.version, pod=settings.pod_name)
    asyncio.run(_serve(settings, wrap))
    sys.stdout.flush()
    return 0
