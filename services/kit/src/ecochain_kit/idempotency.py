"""Idempotency keys: the same key of the same person is the same thing, whoever sends it how often.

The id of what is made follows from the key, so that the store's own unique `_id` lets one in, and a
replay is found by its id. What was asked for is kept as a fingerprint: a key with another body is a mistake.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel
from starlette.responses import Response

from ecochain_kit.problems import Problem
from ecochain_kit.stores import Document
from ecochain_kit.tokens import Identity

Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", pattern=r"^[\x21-\x7e]{1,128}$", description="once per intent"),
]


def id_of(owner: Identity, key: str | None) -> str:
    """Return the id that a person's key stands for; a new one where there is no key."""
    if key is None:
        return secrets.token_hex(16)
    whole = "\0".join((owner.tenant, owner.user_id, key))
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def is_id(given: str) -> bool:
    """Tell whether a text could be an id of `id_of`; no other one needs to be looked for."""
    return re.fullmatch(r"[0-9a-f]{32}", given) is not None


def fingerprint(body: BaseModel) -> str:
    """Return what tells two bodies apart."""
    return hashlib.sha256(body.model_dump_json().encode()).hexdigest()


def replayed(found: Document, body: BaseModel, response: Response) -> None:
    """Mark the answer as that of an earlier request; raises Problem 422 when that had another body."""
    if found["fingerprint"] != fingerprint(body):
        raise Problem(422, "key-reused", "this Idempotency-Key was used for another body")
    response.status_code = 200
    response.headers["idempotency-replayed"] = "true"
