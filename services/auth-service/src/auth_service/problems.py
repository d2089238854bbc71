"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 -- RFC 9457 calls it a problem
    """A request that cannot be served, and the answer that says why."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.errors = status, kind, detail, errors
        self.headers = dict(headers or {})

    def body(self, instance: str | None = None) -> bytes:
        """Return the document; `instance` is the id under which the logs know the request."""
        document: dict[str, object] = {
            "type": f"urn:ecochain:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = list(self.errors)
        if instance:
            document["instance"] = f"urn:ecochain:request:{instance}"
        return json.dumps(document).encode()

    def response(self, instance: str | None = None) -> Response:
        """Return the answer to send."""
        return Response(self.body(instance), self.status, self.headers, MEDIA_TYPE)
