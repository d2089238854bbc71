"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One wrong field of a request."""

    field: str
    detail: str


class ProblemDocument(BaseModel):
    """The document as the OpenAPI descriptions state it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[FieldError] = []


class Problem(HTTPException):
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
        super().__init__(status, detail, dict(headers or {}))
        self.kind, self.errors = kind, errors

    def body(self, request_id: str | None = None) -> bytes:
        """Return the document; `request_id` is the id under which the logs know the request."""
        document: dict[str, object] = {
            "type": f"urn:ecochain:problem:{self.kind}",
            "title": HTTPStatus(self.status_code).phrase,
            "status": self.status_code,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = list(self.errors)
        if request_id:
            document["request_id"] = request_id
        return json.dumps(document).encode()

    def response(self, request_id: str | None = None) -> Response:
        """Return the answer to send."""
        return Response(self.body(request_id), self.status_code, self.headers, MEDIA_TYPE)


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that answers these statuses by a problem document."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }
