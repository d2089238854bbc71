"""The public application: what clients and the kubelet's probes ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth_service.draining import Drain
from auth_service.inputs import Fields, json_object
from auth_service.metrics import Metrics
from auth_service.observation import Observed, request_id
from auth_service.problems import Problem
from auth_service.settings import Settings
from auth_service.tokens import RefusedError, Signer

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HASHES_AT_ONCE = 2  # Each takes 128 * 8 * 2^SCRYPT_LOG2_N bytes: unbounded, a burst would be an OOM kill.
DEPENDENCY_TIMEOUT_S = 0.5


class _Service:
    def __init__(self, settings: Settings, metrics: Metrics, drain: Drain) -> None:
        self._settings, self._metrics, self._drain = settings, metrics, drain
        self._signer = Signer(
            settings.jwt_secret, ttl_s=settings.token_ttl_s, scrypt_log2_n=settings.scrypt_log2_n
        )
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    async def register(self, request: Request) -> Response:
        fields = Fields(await json_object(request))
        email, password = fields.email(), fields.text("password", 8, 128)
        fields.check()
        async with self._hashing:
            user_id, record = await asyncio.to_thread(self._signer.register, email, password)
        self._metrics.registrations.inc()
        granted = self._granted(user_id, email)
        return JSONResponse({**granted, "credential": record}, 201)

    async def login(self, request: Request) -> Response:
        fields = Fields(await json_object(request))
        email, password = fields.email(), fields.text("password", 8, 128)
        record = fields.text("credential", 1, 4096)
        fields.check()
        try:
            async with self._hashing:
                user_id = await asyncio.to_thread(self._signer.login, email, password, record)
        except RefusedError as error:
            self._metrics.logins.labels("refused").inc()
            raise Problem(401, "invalid-credentials", str(error)) from error
        self._metrics.logins.labels("granted").inc()
        return JSONResponse(self._granted(user_id, email))

    async def verify(self, request: Request) -> Response:
        try:
            identity = self._signer.check(_bearer(request.headers.get("authorization", "")))
        except RefusedError as error:
            self._metrics.checks.labels("refused").inc()
            headers = {"www-authenticate": 'Bearer realm="ecochain"'}
            raise Problem(401, "invalid-token", str(error), headers=headers) from error
        self._metrics.checks.labels("granted").inc()
        return JSONResponse(
            {"user_id": identity.user_id, "email": identity.email, "expires_at": identity.expires_s}
        )

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": self._settings.version})

    async def ready(self, request: Request) -> Response:
        if self._drain.active:
            return Problem(503, "draining", "leaving: no new requests").response(request_id(request.scope))
        reached = await asyncio.gather(*(_reachable(*address) for address in self._settings.dependencies))
        checks = {
            f"{host}:{port}": "ok" if well else "unreachable"
            for (host, port), well in zip(self._settings.dependencies, reached, strict=True)
        }
        if not all(reached):
            missing = [{"field": name, "detail": state} for name, state in checks.items() if state != "ok"]
            unready = Problem(503, "dependency", "a dependency cannot be reached", errors=missing)
            return unready.response(request_id(request.scope))
        return JSONResponse({"status": "ok", "version": self._settings.version, "dependencies": checks})

    async def info(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "service": "auth-service",
                "version": self._settings.version,
                "pod": self._settings.pod_name,
                "platform": dict(self._settings.platform),
            }
        )

    def _granted(self, user_id: str, email: str) -> dict[str, object]:
        return {
            "user_id": user_id,
            "token": self._signer.token(user_id, email),
            "token_type": "Bearer",
            "expires_in": self._signer.ttl_s,
        }


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise RefusedError("expected the header Authorization: Bearer TOKEN")
    return token.strip()


async def _reachable(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), DEPENDENCY_TIMEOUT_S)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _as_problem(request: Request, error: Exception) -> Response:
    """Answer anything raised as a problem document: a Problem, the framework's 404 and 405, a defect."""
    if isinstance(error, HTTPException):
        error = Problem(error.status_code, "http", error.detail, headers=error.headers)
    elif not isinstance(error, Problem):  # The framework raises it again, and `Observed` logs its trace.
        error = Problem(500, "unexpected", "an error of the service, not of the request")
    return error.response(request_id(request.scope))


def identity_headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell which release and which pod answered."""
    return [(b"x-version", settings.version.encode()), (b"x-pod-name", settings.pod_name.encode())]


def build(
    settings: Settings, metrics: Metrics, drain: Drain, wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app
) -> ASGIApp:
    """Return the application; `wrap` stands between it and the measuring (a variant build's seam)."""
    service = _Service(settings, metrics, drain)
    routes = [
        Route("/auth/register", service.register, methods=["POST"]),
        Route("/auth/login", service.login, methods=["POST"]),
        Route("/auth/verify", service.verify, methods=["GET"]),
        Route("/health", service.health),
        Route("/ready", service.ready),
        Route("/info", service.info),
    ]
    handlers = {Problem: _as_problem, HTTPException: _as_problem, Exception: _as_problem}
    inner = Starlette(routes=routes, exception_handlers=handlers)
    inner.router.redirect_slashes = False
    return Observed(
        wrap(inner),
        routes=[route.path for route in routes],
        headers=identity_headers(settings),
        metrics=metrics,
        drain=drain,
    )
