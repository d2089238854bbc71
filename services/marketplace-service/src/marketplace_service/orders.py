"""Orders, placed and cancelled without transactions, so that a crash at any point loses and gives nothing.

The stock is a number in the listing; an order is a document of its own, whose id follows from the buyer's
idempotency key. Both cannot be written at once. So the listing says what is on its way:

1. reserve: one conditional update takes the pieces from `stock` and writes the whole order into `pending`;
2. write the order (its `_id` lets one in);
3. strike it off `pending`.

Whoever finds an order in `pending` can finish it: a repeated request at once, and the sweep of any replica
after PENDING_S. To finish is to go on, never back, so that a slow replica which takes up its work again finds
it done. Of two reservations for one key (the second came when the first was done with) the order tells by its
`attempt` which one it is of; the other is given back. A cancelled order gives its pieces back once: the
listing's `returned` has its id from the same update that raises the stock.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ecochain_kit.idempotency import fingerprint, id_of, is_id
from ecochain_kit.paging import now, page
from ecochain_kit.problems import Problem
from ecochain_kit.stores import Document, Index, Mongo
from ecochain_kit.tokens import Identity
from pymongo.errors import DuplicateKeyError

from marketplace_service.bodies import NewOrder, Order, Orders

INDEXES = (
    Index(collection="orders", keys=[("tenant", 1), ("buyer", 1), ("created", -1)]),
    Index(collection="orders", keys=[("tenant", 1), ("listing_id", 1)]),
)
PENDING_S = 15.0  # Longer than the longest request: whoever reserved this long ago does not come back.


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An order, and whether this request made it."""

    order: Document
    fresh: bool


class OrderBook:
    """Every tenant's orders. Those of another tenant are not there."""

    def __init__(self, mongo: Mongo) -> None:
        self._listings, self._orders = mongo.database["listings"], mongo.database["orders"]

    async def place(self, buyer: Identity, key: str, asked: NewOrder) -> Placed:
        """Place an order, or find the one that the key already stands for; raises Problem 404, 409."""
        number = id_of(buyer, key)
        if (earlier := await self._kept(number)) is not None:
            return Placed(order=earlier, fresh=False)
        attempt = await self._reserve(number, buyer, asked)
        if attempt is None:
            return Placed(order=await self._another(number, buyer, asked), fresh=False)
        order = await self._finish(asked.listing_id, attempt)
        return Placed(order=order, fresh=order["attempt"] == attempt["attempt"])

    async def _reserve(self, number: str, buyer: Identity, asked: NewOrder) -> Document | None:
        """Take the pieces and write the order into `pending`; return it, or None if that cannot be."""
        if not is_id(asked.listing_id):
            return None
        listing = await self._listings.find_one({"_id": asked.listing_id, "tenant": buyer.tenant})
        if listing is None:
            return None
        order: Document = {
            "_id": number,
            "attempt": secrets.token_hex(8),
            "tenant": buyer.tenant,
            "fingerprint": fingerprint(asked),
            "listing_id": asked.listing_id,
            "seller": listing["seller"],
            "buyer": buyer.user_id,
            "quantity": asked.quantity,
            "total_cents": listing["price_cents"] * asked.quantity,
            "status": "placed",
            "returned": False,
            "created": now(),
        }
        taken = await self._listings.find_one_and_update(
            {
                "_id": asked.listing_id,
                "tenant": buyer.tenant,
                "stock": {"$gte": asked.quantity},
                # The price that the total is made of; with another one the buyer is asked again.
                "price_cents": listing["price_cents"],
                f"pending.{number}": {"$exists": False},
            },
            {"$inc": {"stock": -asked.quantity}, "$set": {f"pending.{number}": order}},
        )
        return order if taken is not None else None

    async def _another(self, number: str, buyer: Identity, asked: NewOrder) -> Document:
        """Return the order that an equal request is placing or has placed; else raise why it cannot be."""
        listing = await self._listings.find_one({"_id": asked.listing_id, "tenant": buyer.tenant})
        if listing is not None and number in listing["pending"]:
            return await self._finish(asked.listing_id, listing["pending"][number])
        if (order := await self._kept(number)) is not None:
            return order
        if listing is None:
            raise Problem(404, "not-found", "there is no such listing")
        if listing["stock"] < asked.quantity:
            raise Problem(409, "out-of-stock", f"{asked.quantity} are wanted, {listing['stock']} are left")
        raise Problem(409, "changed", "the listing changed at this moment; order again")

    async def _finish(self, listing_id: str, pending: Document) -> Document:
        """Write a reserved order and strike it off; return the order that its id stands for."""
        order = pending
        try:
            await self._orders.insert_one(dict(pending))
        except DuplicateKeyError:
            order = await self._kept(pending["_id"]) or pending
        number = pending["_id"]
        strike: Document = {"$unset": {f"pending.{number}": ""}}
        if order["attempt"] != pending["attempt"]:
            strike["$inc"] = {"stock": pending["quantity"]}
        await self._listings.update_one(
            {"_id": listing_id, f"pending.{number}.attempt": pending["attempt"]}, strike
        )
        return order

    async def cancel(self, buyer: Identity, number: str) -> tuple[Document, bool]:
        """Cancel an order; return it, and whether it was not cancelled before. Raises Problem 404, 403."""
        found = await self.seen(buyer, number)
        if found["buyer"] != buyer.user_id:
            raise Problem(403, "forbidden", "only its buyer may cancel an order")
        cancelled = await self._orders.find_one_and_update(
            {"_id": number, "status": "placed"}, {"$set": {"status": "cancelled"}}, return_document=True
        )
        order = cancelled or await self.seen(buyer, number)
        await self._give_back(order)
        return order, cancelled is not None

    async def _give_back(self, order: Document) -> None:
        """Return a cancelled order's pieces, if that was not done; a listing that is gone needs none."""
        if order["returned"]:
            return
        number = order["_id"]
        await self._listings.update_one(
            {"_id": order["listing_id"], f"returned.{number}": {"$exists": False}},
            {"$inc": {"stock": order["quantity"]}, "$set": {f"returned.{number}": True}},
        )
        await self._orders.update_one({"_id": number}, {"$set": {"returned": True}})

    async def sweep(self, older_s: float = PENDING_S) -> int:
        """Finish what crashed replicas began `older_s` seconds ago or earlier; return how much that was."""
        done, until = 0, datetime.now(UTC) - timedelta(seconds=older_s)
        async for listing in self._listings.find({"pending": {"$ne": {}}}):
            for pending in listing["pending"].values():
                if pending["created"] <= until:
                    await self._finish(listing["_id"], pending)
                    done += 1
        async for order in self._orders.find({"status": "cancelled", "returned": False}):
            await self._give_back(order)
            done += 1
        return done

    async def seen(self, caller: Identity, number: str) -> Document:
        """Return an order that the caller bought or sold; raises Problem 404, 403."""
        found = await self._kept(number)
        if found is None or found["tenant"] != caller.tenant:
            raise Problem(404, "not-found", "there is no such order")
        if caller.user_id not in (found["buyer"], found["seller"]):
            raise Problem(403, "forbidden", "this order is somebody else's")
        return found

    async def mine(self, buyer: Identity, limit: int, cursor: str | None) -> Orders:
        """Return what the caller ordered."""
        wanted = {"tenant": buyer.tenant, "buyer": buyer.user_id}
        found, following = await page(self._orders, wanted, limit, cursor)
        return Orders(items=[shown(one) for one in found], next=following)

    async def remove_tenant(self, tenant: str) -> int:
        """Remove every order of a tenant; return how many there were."""
        return int((await self._orders.delete_many({"tenant": tenant})).deleted_count)

    async def _kept(self, number: str) -> Document | None:
        return await self._orders.find_one({"_id": number}) if is_id(number) else None


def shown(document: Document) -> Order:
    """Return an order as clients see it."""
    return Order.model_validate({**document, "id": document["_id"]})
