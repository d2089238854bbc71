"""Request bodies: read within a bound, and checked field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request

from auth_service.problems import Problem

LARGEST_BODY_BYTES = 16 * 1024
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")


async def json_object(request: Request) -> Mapping[str, object]:
    """Return the body's JSON object; raises Problem 400, 413 or 415."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "media-type", f"expected application/json, got {media_type[:100]!r}")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_BODY_BYTES:
                raise Problem(413, "too-large", f"expected a body of at most {LARGEST_BODY_BYTES} bytes")
    except ClientDisconnect as error:
        raise Problem(400, "truncated", "the connection ended before the body did") from error
    try:
        value = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise Problem(400, "malformed-json", "the body is not valid JSON") from error
    if not isinstance(value, dict):
        raise Problem(400, "not-an-object", f"expected a JSON object, got {type(value).__name__}")
    return value


class Fields:
    """Reads the fields of one body, and collects everything that is wrong with them."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._errors: list[dict[str, str]] = []

    def email(self) -> str:
        """Return the e-mail address in lower case."""
        given = self.text("email", 3, 254).lower()
        if given and not _EMAIL.fullmatch(given):
            self._errors.append({"field": "email", "detail": "expected an address like name@example.org"})
        return given

    def text(self, name: str, shortest: int, longest: int) -> str:
        """Return a text of that many characters, or "" with the error noted."""
        given = self._values.get(name)
        wrong = None
        if not isinstance(given, str):
            wrong = "expected a text" if name in self._values else "missing"
        elif not shortest <= len(given) <= longest:
            wrong = f"expected {shortest} to {longest} characters, got {len(given)}"
        elif any("\ud800" <= character <= "\udfff" for character in given):
            wrong = "holds half a surrogate pair, which no encoding can carry"
        if wrong or not isinstance(given, str):
            self._errors.append({"field": name, "detail": wrong or ""})
            return ""
        return given

    def check(self) -> None:
        """Raise one Problem 422 that lists every error noted."""
        if self._errors:
            names = ", ".join(error["field"] for error in self._errors)
            raise Problem(422, "invalid-fields", f"wrong fields: {names}", errors=self._errors)
