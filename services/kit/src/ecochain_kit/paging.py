"""Lists in pages, newest first; a cursor is where the page before ended, so what is added moves nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Query
from pymongo.asynchronous.collection import AsyncCollection

from ecochain_kit.problems import Problem
from ecochain_kit.stores import Document

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=120)]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """Return the time as MongoDB keeps it: to the millisecond."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def page(
    collection: AsyncCollection[Document], wanted: Mapping[str, Any], limit: int, cursor: str | None
) -> tuple[list[Document], str | None]:
    """Return up to `limit` documents by `created`, and the cursor of the next page, None after the last.

    Raises Problem 422 when the cursor is none that an earlier page gave.
    """
    wanted = {"$and": [wanted, _after(cursor)]} if cursor is not None else wanted
    # The limit is the query's: what the driver cuts off, the store has sorted and sent.
    newest = [("created", -1), ("_id", -1)]
    found = await collection.find(wanted).sort(newest).limit(limit + 1).to_list()
    shown = found[:limit]
    return shown, _cursor(shown[-1]) if len(found) > limit else None


def _cursor(last: Document) -> str:
    milliseconds = (last["created"] - _EPOCH) // timedelta(milliseconds=1)
    return base64.urlsafe_b64encode(f"{milliseconds}.{last['_id']}".encode()).decode()


def _after(cursor: str) -> Document:
    try:
        told, _, number = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(".")
        created = _EPOCH + timedelta(milliseconds=int(told))
    except (binascii.Error, ValueError, OverflowError) as error:
        wrong = [{"field": "cursor", "detail": "expected what an earlier page gave as next"}]
        raise Problem(422, "invalid-fields", "wrong fields: cursor", errors=wrong) from error
    return {"$or": [{"created": {"$lt": created}}, {"created": created, "_id": {"$lt": number}}]}
