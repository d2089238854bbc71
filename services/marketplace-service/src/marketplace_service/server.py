"""The service's routes and settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from ecochain_kit.application import degraded
from ecochain_kit.idempotency import Key, replayed
from ecochain_kit.logs import LOG
from ecochain_kit.metrics import Metrics
from ecochain_kit.outgoing import Upstream, UpstreamLostError
from ecochain_kit.paging import Cursor, Limit
from ecochain_kit.problems import Problem, declared
from ecochain_kit.server import Parts, serve
from ecochain_kit.settings import Settings, Url
from ecochain_kit.tokens import Admin, Caller
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from pymongo.errors import PyMongoError
from starlette.types import ASGIApp

from marketplace_service import listings, orders
from marketplace_service.bodies import (
    Change,
    Listing,
    Listings,
    NewListing,
    NewOrder,
    Order,
    Orders,
    Removal,
    RemovedThings,
    WasteType,
)
from marketplace_service.listings import Market
from marketplace_service.orders import OrderBook
from marketplace_service.vision import look

SWEEP_EVERY_S = 10.0
_REPLAYED: dict[int | str, dict[str, Any]] = {200: {"model": Order, "description": "Replayed"}}
_HELD: set[asyncio.Task[None]] = set()  # A task that nobody holds may vanish; the loop's end cancels it.
Kind = Annotated[WasteType | None, Query()]


class MarketplaceSettings(Settings):
    """What only this service reads."""

    vision_url: Url = Field("http://vision-service:3000", alias="VISION_URL")
    sweep_every_s: float = Field(SWEEP_EVERY_S, gt=0, le=3600, alias="SWEEP_EVERY_S")


class Counted:
    """The business series: what is offered, ordered and cancelled, and what it is worth."""

    def __init__(self, metrics: Metrics) -> None:
        self.offered = metrics.counter(
            "ecochain_listings_created_total", "Listings made.", "waste_type", "classified"
        )
        self.orders = metrics.counter(
            "ecochain_orders_total", "Requests to order, by what came of them.", "result"
        )
        self.value = metrics.counter("ecochain_order_value_cents_total", "Worth of what was ordered.")
        self.recovered = metrics.counter(
            "ecochain_orders_recovered_total", "Orders and cancellations that another replica began."
        )
        for result in ("placed", "replayed", "out-of-stock", "refused", "cancelled"):
            self.orders.labels(result)


def assemble(parts: Parts[MarketplaceSettings]) -> Sequence[APIRouter]:
    """Return the routes, and begin to sweep."""
    mongo = parts.mongo(*listings.INDEXES, *orders.INDEXES)
    vision = parts.upstream("vision-service", parts.settings.vision_url)
    book, counted = OrderBook(mongo), Counted(parts.metrics)
    market = Market(mongo, parts.cache())
    sweeping = asyncio.get_running_loop().create_task(_sweep(book, counted, parts.settings.sweep_every_s))
    _HELD.add(sweeping)
    return [_listing_routes(market, book, vision, counted), _order_routes(market, book, counted)]


async def _sweep(book: OrderBook, counted: Counted, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            done = await book.sweep()
        except PyMongoError as error:
            LOG.warning("sweep failed: %s", type(error).__name__)
            continue
        if done:
            counted.recovered.inc(done)
            LOG.info("sweep finished what was begun", extra={"fields": {"orders": done}})


def _listing_routes(market: Market, book: OrderBook, vision: Upstream, counted: Counted) -> APIRouter:
    router = APIRouter(tags=["listings"], prefix="/listings")

    @router.post("", status_code=201)
    async def offer(body: NewListing, caller: Caller, request: Request, response: Response) -> Listing:
        """Offer something. A picture decides its kind; while it cannot be looked at, what is said does."""
        waste_type, classified = body.waste_type, False
        if body.picture is not None:
            try:
                waste_type, classified = await look(request, vision, body.picture), True
            except UpstreamLostError as error:
                if waste_type is None:
                    detail = "the picture cannot be looked at now; say waste_type, or come again"
                    raise Problem(503, "vision-service", detail, headers={"retry-after": "2"}) from error
                degraded(response, "vision-service")
        if waste_type is None:
            wrong = [{"field": "waste_type", "detail": "expected a waste_type or a picture"}]
            raise Problem(422, "invalid-fields", "wrong fields: waste_type", errors=wrong)
        made = await market.offer(caller, body, waste_type, classified=classified)
        counted.offered.labels(waste_type, str(classified).lower()).inc()
        return made

    @router.get("")
    async def offered(
        caller: Caller, response: Response, waste_type: Kind = None, limit: Limit = 20, cursor: Cursor = None
    ) -> Listings:
        """List what is offered in the tenant."""
        found, lost = await market.page(caller, waste_type, limit, cursor)
        if lost:
            degraded(response, "redis")
        return found

    @router.delete("/tenant")
    async def remove_tenant(caller: Admin) -> Removal:
        """Remove all listings and orders of the tenant."""
        gone = await market.remove_tenant(caller.tenant)
        return Removal(removed=RemovedThings(listings=gone, orders=await book.remove_tenant(caller.tenant)))

    @router.get("/{listing_id}")
    async def listing(listing_id: str, caller: Caller) -> Listing:
        """Return a listing."""
        return listings.shown(await market.found(caller, listing_id))

    @router.patch("/{listing_id}")
    async def change(listing_id: str, body: Change, caller: Caller) -> Listing:
        """Change title, price or stock (its seller)."""
        return await market.change(caller, listing_id, body)

    @router.delete("/{listing_id}", status_code=204)
    async def remove(listing_id: str, caller: Caller) -> None:
        """Take it off the market (its seller)."""
        await market.remove(caller, listing_id)

    return router


def _order_routes(market: Market, book: OrderBook, counted: Counted) -> APIRouter:
    router = APIRouter(tags=["orders"], prefix="/orders")

    @router.post("", status_code=201, responses=_REPLAYED | declared(404, 409))
    async def order(body: NewOrder, caller: Caller, response: Response, key: Key = None) -> Order:
        """Order something, once for an Idempotency-Key however often it is sent."""
        if key is None:
            raise Problem(400, "no-key", "expected the header Idempotency-Key: an order must not be doubled")
        try:
            placed = await book.place(caller, key, body)
        except Problem as error:
            counted.orders.labels("out-of-stock" if error.kind == "out-of-stock" else "refused").inc()
            raise
        if not placed.fresh:
            replayed(placed.order, body, response)
            counted.orders.labels("replayed").inc()
            return orders.shown(placed.order)
        await market.sold(caller.tenant)
        counted.orders.labels("placed").inc()
        counted.value.inc(placed.order["total_cents"])
        return orders.shown(placed.order)

    @router.get("")
    async def mine(caller: Caller, limit: Limit = 20, cursor: Cursor = None) -> Orders:
        """List what the caller ordered."""
        return await book.mine(caller, limit, cursor)

    @router.get("/{order_id}")
    async def one(order_id: str, caller: Caller) -> Order:
        """Return an order (its buyer or seller)."""
        return orders.shown(await book.seen(caller, order_id))

    @router.post("/{order_id}/cancel")
    async def cancel(order_id: str, caller: Caller) -> Order:
        """Cancel an order (its buyer); its pieces are on sale again, once however often this is sent."""
        cancelled, first = await book.cancel(caller, order_id)
        if first:
            await market.sold(caller.tenant)
            counted.orders.labels("cancelled").inc()
        return orders.shown(cancelled)

    return router


def main(wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app) -> int:
    """Serve until SIGTERM; returns the exit status."""
    return serve("marketplace-service", MarketplaceSettings, assemble, wrap)
