"""An order survives a crash before any command to the store: nothing is lost, nothing given twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from ecochain_kit.idempotency import id_of
from ecochain_kit.metrics import Metrics
from ecochain_kit.problems import Problem
from ecochain_kit.stores import Mongo
from ecochain_kit.tokens import Identity
from marketplace_service.bodies import NewListing, NewOrder
from marketplace_service.listings import Market
from marketplace_service.orders import OrderBook
from platform_under_test import Platform

STOCK, QUANTITY, KEY = 5, 2, "the-key"
BUYER = Identity(user_id="b", email="b@example.org", tenant="t", role="citizen", expires_s=0)
Scene = Callable[["Store"], Awaitable[None]]


class CrashError(Exception):
    """The replica is gone; nothing in the service catches this."""


class Fused:
    """A collection whose commands crash the replica when the fuse is burnt."""

    def __init__(self, collection: Any, fuse: list[int]) -> None:
        self._collection, self._fuse = collection, fuse

    def __getattr__(self, name: str) -> Any:
        def command(*given: Any, **more: Any) -> Any:
            self._fuse[0] -= 1
            if self._fuse[0] < 0:
                raise CrashError(name)
            return getattr(self._collection, name)(*given, **more)

        return command


class Store:
    """A database of its own with one listing, and replicas of the order book on it."""

    def __init__(self, mongo: Mongo, listing_id: str) -> None:
        self._mongo, self.listing_id = mongo, listing_id
        self.asked = NewOrder(listing_id=listing_id, quantity=QUANTITY)

    def book(self, commands: int = 1_000_000) -> OrderBook:
        """Return a replica that crashes after that many commands."""
        fuse, made = [commands], OrderBook(self._mongo)
        made._listings, made._orders = Fused(made._listings, fuse), Fused(made._orders, fuse)  # type: ignore[assignment]
        return made

    async def sums(self) -> tuple[int, int, int]:
        """Return the stock, how many pieces are ordered, and how many orders are pending."""
        listing = await self._mongo.database["listings"].find_one({"_id": self.listing_id}) or {}
        orders = await self._mongo.database["orders"].find({"status": "placed"}).to_list()
        return listing["stock"], sum(one["quantity"] for one in orders), len(listing["pending"])


def played(platform: Platform, scene: Scene) -> None:
    async def play() -> None:
        uri = f"mongodb://127.0.0.1:{platform.mongodb.port}/crash-{uuid4().hex[:8]}"
        mongo = Mongo(uri, (), Metrics("1", "test"))
        try:
            asked = NewListing(title="a", price_cents=10, stock=STOCK, waste_type="glass")
            listing = await Market(mongo, None).offer(BUYER, asked, "glass", classified=False)
            await scene(Store(mongo, listing.id))
        finally:
            await mongo.close()

    asyncio.run(play())


async def crashed(work: Awaitable[object]) -> bool:
    try:
        await work
    except CrashError:
        return True
    return False


@pytest.mark.parametrize("retried", [True, False])
def test_an_order_survives_a_crash_before_any_command(market_platform: Platform, retried: bool) -> None:
    """The retry, or else the sweep, leaves the stock and the orders adding up, and one order for the key."""

    async def scene(store: Store) -> None:
        for commands in range(20):
            number, before = f"{KEY}-{commands}", await store.sums()
            if not await crashed(store.book(commands).place(BUYER, number, store.asked)):
                break
            if retried:
                await store.book().place(BUYER, number, store.asked)
            await store.book().sweep(older_s=0)
            stock, ordered, pending = await store.sums()
            assert (stock + ordered, pending) == (STOCK, 0), f"after {commands} commands"
            if retried:
                assert ordered - before[1] == QUANTITY, f"after {commands} commands"
            order = await store.book().place(BUYER, number, store.asked)
            await store.book().cancel(BUYER, order.order["_id"])
        assert 5 <= commands < 20, "the crashes were not before every command"

    played(market_platform, scene)


def test_a_cancellation_survives_a_crash_before_any_command(market_platform: Platform) -> None:
    """The sweep gives the pieces back, and a repeated cancellation gives nothing more."""

    async def scene(store: Store) -> None:
        for commands in range(20):
            order = (await store.book().place(BUYER, f"{KEY}-{commands}", store.asked)).order
            if not await crashed(store.book(commands).cancel(BUYER, order["_id"])):
                break
            for _ in range(2):
                await store.book().sweep(older_s=0)
            await store.book().cancel(BUYER, order["_id"])
            assert await store.sums() == (STOCK, 0, 0), f"after {commands} commands"
        assert 4 <= commands < 20, "the crashes were not before every command"

    played(market_platform, scene)


def test_a_slow_replica_finds_its_order_finished(market_platform: Platform) -> None:
    """What it reserved was finished and cancelled by others meanwhile; its late work changes nothing."""

    async def scene(store: Store) -> None:
        slow = store.book()
        number = id_of(BUYER, KEY)
        reserved = await slow._reserve(number, BUYER, store.asked)
        assert reserved is not None
        await store.book().sweep(older_s=0)
        await store.book().cancel(BUYER, number)
        finished = await slow._finish(store.listing_id, reserved)
        assert finished["status"] == "cancelled"
        assert await store.sums() == (STOCK, 0, 0)

    played(market_platform, scene)


def test_a_second_reservation_for_a_key_is_given_back(market_platform: Platform) -> None:
    """One that saw no order, because it was made between its two looks."""

    async def scene(store: Store) -> None:
        number = id_of(BUYER, KEY)
        placed = await store.book().place(BUYER, KEY, store.asked)
        late = await store.book()._reserve(number, BUYER, store.asked)
        assert late is not None
        assert (await store.sums())[0] == STOCK - 2 * QUANTITY
        assert (await store.book()._finish(store.listing_id, late))["attempt"] == placed.order["attempt"]
        assert await store.sums() == (STOCK - QUANTITY, QUANTITY, 0)

    played(market_platform, scene)


def test_a_young_reservation_is_left_to_whoever_made_it(market_platform: Platform) -> None:
    """The sweep does not run after requests that are under way."""

    async def scene(store: Store) -> None:
        assert await crashed(store.book(3).place(BUYER, KEY, store.asked))
        assert await store.book().sweep() == 0
        assert await store.book().sweep(older_s=0) == 1

    played(market_platform, scene)


def test_an_order_without_a_pending_note_would_be_lost(
    market_platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crash test sees a book that only takes the pieces and forgets to write down for whom."""

    async def forgetful(self: OrderBook, **_: float) -> int:
        for listing in await self._listings.find({}).to_list():
            await self._listings.update_one({"_id": listing["_id"]}, {"$set": {"pending": {}}})
        return 0

    monkeypatch.setattr(OrderBook, "sweep", forgetful)
    with pytest.raises(AssertionError, match="after 3 commands"):
        test_an_order_survives_a_crash_before_any_command(market_platform, retried=False)


def test_too_much_is_refused_and_takes_nothing(market_platform: Platform) -> None:
    """With the number that is left in the answer."""

    async def scene(store: Store) -> None:
        with pytest.raises(Problem, match="5 are left") as refused:
            await store.book().place(BUYER, KEY, NewOrder(listing_id=store.listing_id, quantity=STOCK + 1))
        assert refused.value.kind == "out-of-stock"
        assert await store.sums() == (STOCK, 0, 0)

    played(market_platform, scene)
