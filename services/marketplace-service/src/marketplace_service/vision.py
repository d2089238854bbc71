"""What vision-service sees in a picture, and what is done when it cannot be asked."""

from __future__ import annotations

import base64
import binascii

from ecochain_kit.outgoing import Upstream, UpstreamLostError
from ecochain_kit.problems import Problem
from fastapi import Request
from pydantic import BaseModel, ValidationError

from marketplace_service.bodies import WasteType

_JPEG = b"\xff\xd8\xff"


class Seen(BaseModel):
    """What of a classification is of use here."""

    label: WasteType


async def look(request: Request, vision: Upstream, picture: str) -> WasteType:
    """Return the kind of waste in a base64 picture; raises Problem 422 when it is none, UpstreamLostError."""
    try:
        data = base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _no_picture("expected base64") from error
    media_type = "image/jpeg" if data.startswith(_JPEG) else "image/png"
    answer = await vision.call(
        request,
        "POST",
        "/vision/classifications",
        content=data,
        headers={"content-type": media_type},
        repeatable=True,  # It changes nothing.
    )
    if answer.status_code in (413, 415, 422):
        raise _no_picture("expected a PNG or JPEG picture")
    try:
        return Seen.model_validate_json(answer.content).label
    except ValidationError as error:
        raise UpstreamLostError(f"vision-service: status {answer.status_code}, no label") from error


def _no_picture(detail: str) -> Problem:
    wrong = [{"field": "picture", "detail": detail}]
    return Problem(422, "invalid-fields", "wrong fields: picture", errors=wrong)
