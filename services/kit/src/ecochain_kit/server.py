"""The process of a service: two listeners on one event loop, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import uvloop
from fastapi import APIRouter
from pymongo.errors import PyMongoError
from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ecochain_kit import application, operations
from ecochain_kit.dependencies import Dependency
from ecochain_kit.draining import Drain
from ecochain_kit.logs import LOG, configure
from ecochain_kit.metrics import Metrics
from ecochain_kit.outgoing import CALL_S, Upstream
from ecochain_kit.problems import MEDIA_TYPE, Problem
from ecochain_kit.settings import BadSettingError, Settings
from ecochain_kit.stores import Cache, Index, Mongo
from ecochain_kit.tokens import KeyOf, PublishedKeys

KEEP_ALIVE_S = 75  # Longer than a client or balancer keeps one (60 s), so that it is they who close.
LONGEST_REQUEST_S = 15  # What SIGTERM waits for; shorter than the chart's grace period.
LARGEST_HEAD_BYTES = 64 * 1024
FILES = 1024

SettingsT = TypeVar("SettingsT", bound=Settings)


@dataclass(kw_only=True)
class Parts(Generic[SettingsT]):
    """What a service is assembled from; what is asked for here is closed at the end."""

    settings: SettingsT
    metrics: Metrics
    drain: Drain
    dependencies: list[Dependency] = field(default_factory=list)
    _closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    key_of: KeyOf | None = None
    largest_body_bytes: int = application.LARGEST_BODY_BYTES

    def mongo(self, *indexes: Index) -> Mongo:
        """Return the database of MONGODB_URI, which the service needs to be ready."""
        if self.settings.mongodb_uri is None:
            raise BadSettingError("MONGODB_URI: missing")
        try:
            store = Mongo(self.settings.mongodb_uri.get_secret_value(), indexes, self.metrics)
        except (ValueError, TypeError, PyMongoError) as error:  # Its own text has the URI.
            raise BadSettingError("MONGODB_URI: expected mongodb://HOST:PORT/DATABASE") from error
        self.dependencies.append(store)
        self._closing.append(store.close)
        return store

    def cache(self) -> Cache | None:
        """Return the Redis of REDIS_URL, or None where there is none; without it the service degrades."""
        if self.settings.redis_url is None:
            return None
        try:
            cache = Cache(self.settings.redis_url.get_secret_value())
        except ValueError as error:
            raise BadSettingError("REDIS_URL: expected redis://HOST:PORT") from error
        self.dependencies.append(cache)
        self._closing.append(cache.close)
        return cache

    def upstream(self, name: str, url: str, *, call_s: float = CALL_S) -> Upstream:
        """Return another service, whose answers are waited for `call_s` seconds in all."""
        upstream = Upstream(name, url, self.metrics, call_s=call_s)
        self._closing.append(upstream.close)
        return upstream

    def keys(self) -> KeyOf:
        """Return what finds the key of a token: the service's own, else auth-service's published ones."""
        if self.key_of is None:
            keys = PublishedKeys(self.settings.auth_url)
            self._closing.append(keys.close)
            self.key_of = keys
        return self.key_of

    async def close(self) -> None:
        """Close what was opened, last in first out."""
        for close in reversed(self._closing):
            await close()


Assemble = Callable[[Parts[SettingsT]], Sequence[APIRouter]]


class _Listener(Server):
    """A uvicorn server that leaves the signals to the process, which has two of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _protocol(headers: Sequence[tuple[bytes, bytes]]) -> type[HttpToolsProtocol]:
    class Protocol(HttpToolsProtocol):
        """Answers what is not HTTP as every other error, with the headers that say who answered.

        The parser in C takes a third less of a processor than h11 for a whole request. It holds no limit on
        a request's head, and asks for no Host.
        """

        _head_bytes: int | None = None

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._head_bytes is not None and not self.transport.is_closing():
                self._head_bytes += len(data)
                if self._head_bytes > LARGEST_HEAD_BYTES:
                    self._refuse(431, f"expected a head of at most {LARGEST_HEAD_BYTES} bytes")

        def on_message_begin(self) -> None:
            self._head_bytes = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._head_bytes = None
            hosts = sum(name == b"host" for name, _ in self.headers)
            if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
                raise ValueError("expected one header Host")
            super().on_headers_complete()

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, msg)

        def _refuse(self, status: int, msg: str) -> None:
            body = Problem(status, "malformed-request", msg).body()
            head = [
                *headers,
                (b"content-type", MEDIA_TYPE.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            lines = b"".join(b"%s: %s\r\n" % one for one in head)
            self.transport.write(b"%s%s\r\n%s" % (STATUS_LINE[status], lines, body))
            self.transport.close()

    return Protocol


def _listener(app: ASGIApp, port: int, headers: Sequence[tuple[bytes, bytes]], grace_s: int) -> _Listener:
    return _Listener(
        Config(
            app,
            host="0.0.0.0",  # noqa: S104 -- a pod's own address is not known beforehand
            port=port,
            http=_protocol(headers),
            loop="none",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=grace_s,
        )
    )


async def _serve(
    name: str, settings: SettingsT, assemble: Assemble[SettingsT], wrap: Callable[[ASGIApp], ASGIApp]
) -> None:
    parts = Parts(settings=settings, metrics=Metrics(settings.version, settings.pod_name), drain=Drain())
    metrics, drain, headers = parts.metrics, parts.drain, application.identity_headers(settings)
    app = application.build(
        name,
        settings,
        assemble(parts),
        dependencies=parts.dependencies,
        key_of=parts.keys(),
        metrics=metrics,
        drain=drain,
        largest_body_bytes=parts.largest_body_bytes,
        wrap=wrap,
    )
    public = _listener(app, settings.port, headers, LONGEST_REQUEST_S)
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
    await parts.close()
    LOG.info("stopped")


def _make_room_for_files() -> None:
    """Let the kernel's table of open files be large before there are threads.

    It grows by doubling, and where threads share it the one that accepts a connection waits for RCU, which
    takes 10 ms and, on busy cores, more; nobody is answered meanwhile.
    """
    with contextlib.suppress(OSError), Path(os.devnull).open("rb") as any_file:
        os.close(os.dup2(any_file.fileno(), FILES - 1))


def serve(
    name: str,
    settings_type: type[SettingsT],
    assemble: Assemble[SettingsT],
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> int:
    """Serve until SIGTERM or SIGINT, then finish what is in flight; returns the exit status.

    `assemble` gets the parts and returns the routes. `wrap` lets a variant build stand in front of the
    application; a shipped service passes none. A bad setting is one log line and exit status 2.
    """
    _make_room_for_files()
    try:
        settings = settings_type.read(os.environ)
        configure(service=name, version=settings.version, pod=settings.pod_name)
        uvloop.run(_serve(name, settings, assemble, wrap))
    except BadSettingError as error:
        configure(service=name)
        LOG.critical("bad setting: %s", error)
        return 2
    sys.stdout.flush()
    return 0
