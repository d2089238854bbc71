"""Listings in MongoDB; their pages for a while in Redis, without which every reader asks MongoDB."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from ecochain_kit.idempotency import id_of, is_id
from ecochain_kit.paging import now, page
from ecochain_kit.problems import Problem
from ecochain_kit.stores import Cache, Document, Index, Mongo
from ecochain_kit.tokens import Identity
from redis.exceptions import RedisError

from marketplace_service.bodies import Change, Listing, Listings, NewListing

INDEXES = (
    Index(collection="listings", keys=[("tenant", 1), ("created", -1)]),
    Index(collection="listings", keys=[("tenant", 1), ("waste_type", 1), ("created", -1)]),
)
CACHED_S = 10


class Pages:
    """Pages of listings in Redis, under an edition of the tenant's that every change replaces.

    A reader asks for the edition before it asks MongoDB. So what it read before a change is kept under an
    edition that nobody asks for any more, and a seller sees a change as soon as it is answered.
    """

    def __init__(self, cache: Cache | None) -> None:
        self._redis = cache.redis if cache else None

    async def through(
        self, tenant: str, what: str, read: Callable[[], Awaitable[Listings]]
    ) -> tuple[Listings, bool]:
        """Return the page, read if it is not kept, and whether Redis was lost meanwhile."""
        if self._redis is None:
            return await read(), False
        edition_key = f"listings:edition:{tenant}"
        try:
            await self._redis.set(edition_key, secrets.token_hex(8), nx=True, ex=3600)
            edition: Any = await self._redis.get(edition_key)
            key = f"listings:page:{tenant}:{edition}:{what}"
            kept = await self._redis.get(key)
        except (RedisError, OSError):
            return await read(), True
        if kept:
            return Listings.model_validate_json(kept), False
        found = await read()
        try:
            await self._redis.set(key, found.model_dump_json(), ex=CACHED_S)
        except (RedisError, OSError):
            return found, True
        return found, False

    async def changed(self, tenant: str) -> None:
        """Let no page be found that was read before now. With Redis lost, old ones end within CACHED_S."""
        if self._redis is None:
            return
        try:
            await self._redis.set(f"listings:edition:{tenant}", secrets.token_hex(8), ex=3600)
        except (RedisError, OSError):
            return


class Market:
    """Every tenant's listings. Those of another tenant are not there."""

    def __init__(self, mongo: Mongo, cache: Cache | None) -> None:
        self._listings, self._pages = mongo.database["listings"], Pages(cache)

    async def offer(
        self, seller: Identity, asked: NewListing, waste_type: str, *, classified: bool
    ) -> Listing:
        """Keep a new listing."""
        document: Document = {
            "_id": id_of(seller, None),
            "tenant": seller.tenant,
            "seller": seller.user_id,
            "title": asked.title,
            "price_cents": asked.price_cents,
            "stock": asked.stock,
            "waste_type": waste_type,
            "classified": classified,
            "created": now(),
            "pending": {},
            "returned": {},
        }
        await self._listings.insert_one(document)
        await self._pages.changed(seller.tenant)
        return shown(document)

    async def found(self, caller: Identity, number: str) -> Document:
        """Return a listing of the caller's tenant; raises Problem 404."""
        found = await self._listings.find_one({"_id": number}) if is_id(number) else None
        if found is None or found["tenant"] != caller.tenant:
            raise Problem(404, "not-found", "there is no such listing")
        return found

    async def page(
        self, caller: Identity, waste_type: str | None, limit: int, cursor: str | None
    ) -> tuple[Listings, bool]:
        """Return a page of the tenant's listings, and whether Redis was lost."""
        wanted: dict[str, Any] = {"tenant": caller.tenant}
        if waste_type is not None:
            wanted["waste_type"] = waste_type

        async def read() -> Listings:
            documents, following = await page(self._listings, wanted, limit, cursor)
            return Listings(items=[shown(one) for one in documents], next=following)

        return await self._pages.through(caller.tenant, f"{waste_type}:{limit}:{cursor}", read)

    async def change(self, seller: Identity, number: str, change: Change) -> Listing:
        """Set fields; raises Problem 404, 403."""
        await self._own(seller, number)
        changed: Document | None
        if fields := change.model_dump(exclude_none=True):
            changed = await self._listings.find_one_and_update(
                {"_id": number}, {"$set": fields}, return_document=True
            )
        else:
            changed = await self._listings.find_one({"_id": number})
        if changed is None:
            raise Problem(404, "not-found", "there is no such listing")
        await self._pages.changed(seller.tenant)
        return shown(changed)

    async def remove(self, seller: Identity, number: str) -> None:
        """Remove a listing; its orders stay. Raises Problem 404, 403."""
        await self._own(seller, number)
        await self._listings.delete_one({"_id": number})
        await self._pages.changed(seller.tenant)

    async def remove_tenant(self, tenant: str) -> int:
        """Remove every listing of a tenant; return how many there were."""
        removed = await self._listings.delete_many({"tenant": tenant})
        await self._pages.changed(tenant)
        return int(removed.deleted_count)

    async def sold(self, tenant: str) -> None:
        """Take note that an order changed the stock of one."""
        await self._pages.changed(tenant)

    async def _own(self, seller: Identity, number: str) -> None:
        if (await self.found(seller, number))["seller"] != seller.user_id:
            raise Problem(403, "forbidden", "this listing is somebody else's")


def shown(document: Document) -> Listing:
    """Return a listing as clients see it."""
    return Listing.model_validate({**document, "id": document["_id"]})
