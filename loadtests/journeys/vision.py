"""The journey through vision-service: pictures of waste, made beforehand, are classified."""

from __future__ import annotations

import random
import struct
import zlib
from typing import Any

from locust import task

from loadtests.journeys.account import AccountUser, Answer, lacks

_SIDE = 64


def picture(seed: int) -> bytes:
    """Return a small PNG of coloured noise around one tone, the same for a seed."""
    source = random.Random(seed)  # noqa: S311 - a picture, not a secret
    tone = [source.randrange(40, 216) for _ in range(3)]

    def row() -> bytes:
        return bytes(part + source.randrange(-40, 40) for _ in range(_SIDE) for part in tone)

    rows = b"".join(b"\0" + row() for _ in range(_SIDE))
    head = struct.pack(">2I5B", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


# Made once, so that what is measured is not the making.
PICTURES = tuple(picture(seed) for seed in range(8))


class VisionUser(AccountUser):
    """A user who has pictures classified, one at a time."""

    abstract = True

    @task(9)
    def classify(self) -> None:
        """Send a picture; the answer must name a class and how sure it is."""
        self.ask(
            "POST",
            "/vision/classifications",
            data=random.choice(PICTURES),  # noqa: S311
            headers={"Content-Type": "image/png"},
            wrong=_unsure,
        )

    @task(1)
    def model(self) -> None:
        """Read what the model is."""
        self.ask("GET", "/vision/model", wrong=lacks("version", "classes"))


def _unsure(answer: Answer) -> str | None:
    label: Any = answer.body.get("label")
    confidence: Any = answer.body.get("confidence")
    sure = isinstance(confidence, int | float) and 0 <= confidence <= 1
    return None if label and sure else f"no classification: label {label!r}, confidence {confidence!r}"
