"""The public application of a service: its routes, and what every service answers besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp

from ecochain_kit.dependencies import Address, Dependency, states
from ecochain_kit.draining import Drain
from ecochain_kit.metrics import Metrics
from ecochain_kit.observation import Observed, request_id
from ecochain_kit.problems import Problem, ProblemDocument, declared
from ecochain_kit.settings import Settings
from ecochain_kit.tokens import KeyOf

LARGEST_BODY_BYTES = 1024 * 1024
JSON = "application/json"
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


class Health(BaseModel):
    """A live process."""

    status: str
    version: str


class Readiness(Health):
    """A service that can serve, and what it depends on."""

    dependencies: dict[str, str]


class Info(BaseModel):
    """What runs here; `platform` is what provisioning passes through."""

    service: str
    version: str
    digest: str
    pod: str
    platform: dict[str, str]


def identity_headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell which release and which pod answered."""
    return [(b"x-version", settings.version.encode()), (b"x-pod-name", settings.pod_name.encode())]


def build(
    name: str,
    settings: Settings,
    routers: Sequence[APIRouter],
    *,
    dependencies: Sequence[Dependency],
    key_of: KeyOf,
    metrics: Metrics,
    drain: Drain,
    largest_body_bytes: int = LARGEST_BODY_BYTES,
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> ASGIApp:
    """Return the application; `wrap` stands between it and the measuring (a variant build's seam)."""
    app = FastAPI(title=name, version=settings.version, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.key_of = key_of
    app.include_router(_about(name, settings, dependencies, metrics, drain))
    for router in routers:
        app.include_router(router)
    for kind in (HTTPException, RequestValidationError, PyMongoError):
        app.add_exception_handler(kind, _as_problem)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return Observed(
        wrap(app),
        headers=identity_headers(settings),
        metrics=metrics,
        drain=drain,
        largest_body_bytes=largest_body_bytes,
    )


def _about(
    name: str, settings: Settings, dependencies: Sequence[Dependency], metrics: Metrics, drain: Drain
) -> APIRouter:
    router = APIRouter(tags=["about"])
    needed = [
        *dependencies,
        *(Address(host=host, port=port) for host, port in settings.required_dependencies),
    ]

    @router.get("/health")
    async def health() -> Health:
        return Health(status="ok", version=settings.version)

    @router.get("/ready", responses=declared(503))
    async def ready() -> Readiness:
        if drain.active:
            raise Problem(503, "draining", "leaving: no new requests")
        found = await states(needed)
        for dependency, state in found.items():
            metrics.dependency.labels(dependency).set(state == "ok")
        missing = [{"field": one, "detail": state} for one, state in found.items() if state == "unreachable"]
        if missing:
            raise Problem(503, "dependency", "a dependency cannot be reached", errors=missing)
        return Readiness(status="ok", version=settings.version, dependencies=found)

    @router.get("/info")
    async def info() -> Info:
        return Info(
            service=name,
            version=settings.version,
            digest=settings.digest,
            pod=settings.pod_name,
            platform=dict(settings.platform),
        )

    return router


async def _as_problem(request: Request, error: Exception) -> Response:
    """Answer anything raised as a problem document: a Problem, the framework's errors, a lost store."""
    if isinstance(error, RequestValidationError):
        error = _of_input(request, error)
    elif isinstance(error, PyMongoError):
        error = Problem(
            503, "store-unavailable", "the store gave no answer in time; nothing is known to be done"
        )
    elif not isinstance(error, Problem):
        assert isinstance(error, HTTPException)
        headers = _allow(request) if error.status_code == 405 else error.headers
        error = Problem(error.status_code, "http", str(error.detail), headers=headers)
    return error.response(request_id(request.scope))


def _allow(request: Request) -> dict[str, str]:
    """Return the header that names every method of the path: the framework names those of one route only."""
    routes = request.app.routes

    def served(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return {"allow": ", ".join(filter(served, _METHODS))}


def _of_input(request: Request, error: RequestValidationError) -> Problem:
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return Problem(400, "malformed-json", "the body is not valid JSON")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    about_body = any(one["loc"][:1] == ("body",) for one in found)
    if about_body and media_type != JSON and int(request.headers.get("content-length", "1") or 0):
        return Problem(415, "media-type", f"expected {JSON}, got {media_type[:100]!r}")
    errors = [
        {"field": ".".join(map(str, one["loc"][1:])) or "body", "detail": str(one["msg"])} for one in found
    ]
    names = ", ".join(one["field"] for one in errors)
    return Problem(422, "invalid-fields", f"wrong fields: {names}"[:500], errors=errors)


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, whose every error is the problem document that is really sent."""
    if app.openapi_schema:
        return app.openapi_schema
    described = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    whole = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(whole.pop("$defs", {}))
    schemas["ProblemDocument"] = whole
    for path, item in described["paths"].items():
        for operation in item.values():
            operation["responses"].pop("422", None)
            for status, answer in declared(*_problems_of(path, operation)).items():
                operation["responses"].setdefault(str(status), answer)
    app.openapi_schema = described
    return described


def _problems_of(path: str, operation: dict[str, Any]) -> set[int]:
    found: set[int] = set()
    if "requestBody" in operation:
        found |= {400, 413, 415, 422}
    if operation.get("parameters"):
        found.add(422)
    if operation.get("security"):
        found |= {401, 403, 503}
    if "{" in path:
        found.add(404)
    return found


def degraded(response: Response, what: str) -> None:
    """Say in a header that the answer was made without a dependency that is lost at the moment."""
    response.headers["x-degraded"] = what
