"""Bodies of answers that several services give alike."""

from __future__ import annotations

from pydantic import BaseModel


class Removed(BaseModel):
    """What was removed, by kind."""

    removed: dict[str, int]
