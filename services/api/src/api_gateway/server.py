"""The routes of the front door, and its start: each prefix belongs to one service."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ecochain_kit import server
from ecochain_kit.outgoing import Upstream, UpstreamLostError
from ecochain_kit.problems import Problem, declared
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from api_gateway.settings import Settings

LARGEST_BODY_BYTES = 4 * 1024 * 1024  # A picture's; each service has a bound of its own.
CALL_S = 5.0
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# What concerns one connection (RFC 9110, 7.6.1), or is made anew on this one.
_OWN = frozenset(
    {
        "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "date",
        "host", "keep-alive", "proxy-authenticate", "proxy-authorization", "server", "te", "trailer",
        "transfer-encoding", "upgrade", "x-deadline-ms", "x-request-id",
    }
)  # fmt: skip
_RENAMED = {"x-version": "x-upstream-version", "x-pod-name": "x-upstream-pod"}
_FRAMED = frozenset({"content-length", "transfer-encoding"})


async def forward(request: Request, upstream: Upstream, path: str) -> Response:
    """Answer a request with what the service behind answers; raises Problem 503 when it gives none."""
    named = {name.strip().lower() for name in request.headers.get("connection", "").split(",")}
    headers = {name: value for name, value in request.headers.items() if name not in _OWN | named}
    client = request.client.host if request.client else "unknown"
    headers["x-forwarded-for"] = ", ".join(filter(None, (headers.get("x-forwarded-for"), client)))
    body = await request.body()
    try:
        answer = await upstream.call(
            request,
            request.method,
            path,
            headers=headers,
            params=request.query_params.multi_items(),
            content=body if body or _FRAMED & set(request.headers) else None,
        )
    except UpstreamLostError as error:
        detail = f"{upstream.name} gave no answer in time"
        raise Problem(503, "upstream-lost", detail, headers={"retry-after": "1"}) from error
    response = Response(answer.content, answer.status_code)
    for name, value in answer.headers.multi_items():
        if name.lower() not in _OWN:
            response.headers.append(_RENAMED.get(name.lower(), name), value)
    return response


def _assemble(parts: server.Parts[Settings]) -> Sequence[APIRouter]:
    parts.largest_body_bytes = LARGEST_BODY_BYTES
    settings, router = parts.settings, APIRouter()
    places = {
        "auth-service": (settings.auth_url, ["/auth"]),
        "user-service": (settings.user_url, ["/users"]),
        "collection-service": (settings.collection_url, ["/pickups"]),
        "vision-service": (settings.vision_url, ["/vision"]),
        "marketplace-service": (settings.marketplace_url, ["/listings", "/orders"]),
    }
    upstreams = {}
    for name, (url, prefixes) in places.items():
        upstreams[name] = parts.upstream(name, url, call_s=CALL_S)
        for prefix in prefixes:
            _route(router, prefix, upstreams[name])

    @router.get("/openapi/{service}.json", responses=declared(404, 503))
    async def description(request: Request, service: str) -> Response:
        upstream = upstreams.get(service)
        if upstream is None:
            raise Problem(404, "unknown-service", f"expected one of {', '.join(sorted(upstreams))}")
        return await forward(request, upstream, "/openapi.json")

    return [router]


def _route(router: APIRouter, prefix: str, upstream: Upstream) -> None:
    async def pass_on(request: Request) -> Response:
        # As it was sent: a decoded path could name another resource.
        path = request.scope["raw_path"].decode("ascii").partition("?")[0]
        return await forward(request, upstream, path)

    for path in (prefix, prefix + "/{rest:path}"):
        router.add_api_route(path, pass_on, methods=list(METHODS), include_in_schema=False)


def main(wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app) -> int:
    """Serve until told to stop; return the exit status."""
    return server.serve("api", Settings, _assemble, wrap)
