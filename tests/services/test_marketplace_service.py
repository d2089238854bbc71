"""marketplace-service as a process: listings, orders, a stock that is never negative, crashes in between."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest
from answers import assert_problem
from domain_platform import Market, at_once, key, lost, offer, png, series, stock_of, text_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from platform_under_test import Platform


def order(
    front: Market, buyer: dict[str, Any], listing: dict[str, Any], quantity: int = 1, **more: Any
) -> Any:
    body = {"listing_id": listing["id"], "quantity": quantity}
    return front.ask("POST", "/orders", buyer, json=body, headers=more.get("headers", key()))


def test_an_order_takes_from_the_stock_and_is_seen_by_both(market: Market) -> None:
    """At the price of its moment; a stranger sees nothing of it."""
    seller, buyer, eve = market.person("sam"), market.person("bea"), market.person("eve")
    listing = offer(market, seller, 5)
    made = order(market, buyer, listing, 2).json()
    assert (made["total_cents"], made["status"], made["buyer"]) == (500, "placed", buyer["user_id"])
    assert stock_of(market, buyer, listing) == 3
    market.ask("PATCH", f"/listings/{listing['id']}", seller, json={"price_cents": 900})
    for who in (seller, buyer):
        assert market.ask("GET", f"/orders/{made['id']}", who).json() == made
    assert_problem(market.ask("GET", f"/orders/{made['id']}", eve), 403)
    assert_problem(market.ask("POST", f"/orders/{made['id']}/cancel", seller), 403)
    assert [one["id"] for one in market.ask("GET", "/orders", buyer).json()["items"]] == [made["id"]]
    assert market.ask("GET", "/orders", seller).json()["items"] == []


def test_fifty_orders_at_once_get_what_there_is(market: Market) -> None:
    """Of twenty pieces twenty are sold, and the other thirty orders are out of stock."""
    seller, buyers = market.person("sam"), [market.known(f"buyer-{number}") for number in range(5)]
    listing = offer(market, seller, 20)
    answers = at_once([partial(order, market, buyers[number % 5], listing) for number in range(50)])
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(409)) == (20, 30)
    assert all(one.json()["type"].endswith("out-of-stock") for one in answers if one.status_code == 409)
    assert stock_of(market, seller, listing) == 0
    orders = [one for who in buyers for one in market.ask("GET", "/orders?limit=100", who).json()["items"]]
    assert len({one["id"] for one in orders}) == 20


def test_one_key_at_once_is_one_order(market: Market) -> None:
    """However many send it; one is told that it made it, the others that it was made."""
    seller, buyer = market.person("sam"), market.person("bea")
    for _ in range(5):
        listing, headers = offer(market, seller, 3), key()
        answers = at_once([partial(order, market, buyer, listing, 3, headers=headers)] * 8)
        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert stock_of(market, seller, listing) == 0


def test_a_repeated_key_is_the_same_order(market: Market) -> None:
    """And says so; with another body it is refused, from another buyer it is another; without one is none."""
    seller, buyer, other = market.person("sam"), market.person("bea"), market.person("bob")
    listing, headers = offer(market, seller, 5), key()
    first = order(market, buyer, listing, headers=headers)
    again = order(market, buyer, listing, headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"], again.json()) == (
        200,
        "true",
        first.json(),
    )
    assert_problem(order(market, buyer, listing, 2, headers=headers), 422)
    assert order(market, other, listing, headers=headers).json()["id"] != first.json()["id"]
    assert_problem(order(market, buyer, listing, headers={}), 400)
    assert_problem(order(market, buyer, listing, headers={"idempotency-key": "x" * 129}), 422)
    assert stock_of(market, buyer, listing) == 3


def test_a_cancelled_order_gives_back_once(market: Market) -> None:
    """However often and at once it is cancelled, also of a listing that is gone."""
    seller, buyer = market.person("sam"), market.person("bea")
    listing = offer(market, seller, 4)
    made = order(market, buyer, listing, 3).json()
    cancel = partial(market.ask, "POST", f"/orders/{made['id']}/cancel", buyer)
    assert {answer.json()["status"] for answer in at_once([cancel] * 8)} == {"cancelled"}
    assert cancel().json()["status"] == "cancelled"
    assert stock_of(market, buyer, listing) == 4
    last = order(market, buyer, listing).json()
    assert market.ask("DELETE", f"/listings/{listing['id']}", seller).status_code == 204
    assert market.ask("POST", f"/orders/{last['id']}/cancel", buyer).json()["status"] == "cancelled"
    assert_problem(order(market, buyer, listing), 404)


OPERATIONS = st.one_of(
    st.tuples(st.just("order"), st.integers(1, 4), st.integers(0, 3)),
    st.tuples(st.just("cancel"), st.just(0), st.integers(0, 3)),
)


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(stock=st.integers(0, 6), steps=st.lists(OPERATIONS, min_size=1, max_size=8))
def test_stock_and_orders_add_up_after_any_steps(
    market: Market, stock: int, steps: list[tuple[str, int, int]]
) -> None:
    """What is left and what is ordered and not cancelled is what there was, with each key used often."""
    seller, buyer = market.known("sam"), market.known("bea")
    listing, keys = offer(market, seller, stock), [key() for _ in range(4)]
    placed: dict[int, dict[str, Any]] = {}
    for name, quantity, which in steps:
        if name == "cancel" and which in placed:
            placed[which] = market.ask("POST", f"/orders/{placed[which]['id']}/cancel", buyer).json()
        elif name == "order":
            answer = order(market, buyer, listing, quantity, headers=keys[which])
            if which in placed:
                assert answer.status_code == (200 if placed[which]["quantity"] == quantity else 422)
            elif answer.status_code == 201:
                placed[which] = answer.json()
            else:
                assert_problem(answer, 409)
        sold = sum(one["quantity"] for one in placed.values() if one["status"] == "placed")
        left = stock_of(market, seller, listing)
        assert left >= 0
        assert left + sold == stock


def test_a_picture_says_what_a_listing_is(market: Market) -> None:
    """Also against what the seller says; what is no picture is refused by name."""
    seller = market.person()
    body = {"title": "As pictured", "price_cents": 1, "stock": 1, "picture": text_of(png("organic"))}
    for more in ({}, {"waste_type": "glass"}):
        made = market.ask("POST", "/listings", seller, json={**body, **more}).json()
        assert (made["waste_type"], made["classified"]) == ("organic", True)
    for picture in ("%", text_of(b"no picture"), text_of(png("glass")[:200])):
        problem = assert_problem(
            market.ask("POST", "/listings", seller, json={**body, "picture": picture}), 422
        )
        assert problem["errors"][0]["field"] == "picture"
    assert_problem(
        market.ask("POST", "/listings", seller, json={"title": "a", "price_cents": 1, "stock": 1}), 422
    )


def test_without_vision_service_what_the_seller_says_counts(
    market: Market, market_platform: Platform
) -> None:
    """It says so; a picture alone gets 503 within the deadline, and a listing without one misses nothing."""
    seller = market.person()
    body = {"title": "As pictured", "price_cents": 1, "stock": 1, "picture": text_of(png("organic"))}
    with lost(market_platform.services["vision-service"]):
        answer = market.ask("POST", "/listings", seller, json={**body, "waste_type": "glass"})
        assert (answer.status_code, answer.headers["x-degraded"]) == (201, "vision-service")
        assert (answer.json()["waste_type"], answer.json()["classified"]) == ("glass", False)
        alone = market.ask("POST", "/listings", seller, json=body)
        assert_problem(alone, 503)
        assert alone.elapsed.total_seconds() < 4
        offer(market, seller)


def test_pages_are_fresh_and_without_redis_still_there(market: Market, market_platform: Platform) -> None:
    """What was offered, changed, ordered or removed is seen at once, by kind of waste and in pages."""
    seller, buyer = market.person("sam"), market.person("bea")

    def titles(query: str = "") -> list[tuple[str, int]]:
        answer = market.ask("GET", f"/listings{query}", buyer)
        return [(one["title"], one["stock"]) for one in answer.json()["items"]]

    for number in range(3):
        offer(market, seller, title=str(number), waste_type=("glass", "paper")[number % 2])
        assert titles()[0] == (str(number), 5)
    assert titles("?waste_type=glass") == [("2", 5), ("0", 5)]
    listing = market.ask("GET", "/listings?limit=1", buyer).json()
    assert titles(f"?limit=2&cursor={listing['next']}") == [("1", 5), ("0", 5)]
    order(market, buyer, listing["items"][0], 2)
    assert titles()[0] == ("2", 3)
    market.ask("PATCH", f"/listings/{listing['items'][0]['id']}", seller, json={"title": "two"})
    assert titles()[0] == ("two", 3)
    market_platform.redis.kill()
    try:
        answer = market.ask("GET", "/listings", buyer)
        assert (answer.status_code, answer.headers["x-degraded"]) == (200, "redis")
        market.ask("DELETE", f"/listings/{listing['items'][0]['id']}", seller)
        assert titles() == [("1", 5), ("0", 5)]
        ready = httpx.get(market_platform.url("marketplace-service") + "/ready").json()
        assert ready["dependencies"]["redis"] == "degraded"
    finally:
        market_platform.redis.start()
        market_platform.wait_stores()


def test_only_the_seller_changes_a_listing(market: Market) -> None:
    """Another one gets 403, another tenant 404, also for an order."""
    seller, eve, other = market.person("sam"), market.person("eve"), market.other()
    listing = offer(market, seller)
    for method in ("PATCH", "DELETE"):
        path, body = f"/listings/{listing['id']}", {"json": {"stock": 1}} if method == "PATCH" else {}
        assert_problem(market.ask(method, path, eve, **body), 403)
        assert_problem(other.ask(method, path, other.admin, **body), 404)
    assert_problem(order(other, other.admin, listing), 404)
    assert other.ask("GET", "/listings", other.admin).json()["items"] == []
    made = order(market, eve, listing).json()
    assert_problem(other.ask("GET", f"/orders/{made['id']}", other.admin), 404)
    assert_problem(market.ask("DELETE", "/listings/tenant", eve), 403)
    removed = market.ask("DELETE", "/listings/tenant", market.admin).json()["removed"]
    assert removed == {"listings": 1, "orders": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": "", "price_cents": 1, "stock": 1}, "title"),
        ({"title": "a", "price_cents": -1, "stock": 1}, "price_cents"),
        ({"title": "a", "price_cents": 10**30, "stock": 1}, "price_cents"),
        ({"title": "a", "price_cents": 1, "stock": -1}, "stock"),
        ({"title": "a", "price_cents": 1, "stock": 1.5}, "stock"),
        ({"title": "a", "price_cents": 1, "stock": "1"}, "stock"),
        ({"title": "a", "price_cents": 1, "stock": True}, "stock"),
        ({"title": "a", "price_cents": 1, "stock": 1, "waste_type": "gold"}, "waste_type"),
        ({"title": "a", "price_cents": 1, "stock": 1, "seller": "me"}, "seller"),
    ],
)
def test_a_bad_listing_is_a_problem(market: Market, body: dict[str, object], field: str) -> None:
    """It names the field."""
    problem = assert_problem(market.ask("POST", "/listings", market.known("sam"), json=body), 422)
    assert field in [one["field"] for one in problem["errors"]]


@pytest.mark.parametrize("number", ["0" * 32, "no", "%00", "$ne", "x" * 300, "a.b", "a%2Fb"])
def test_what_is_unknown_is_not_found(market: Market, number: str) -> None:
    """Whatever its id looks like."""
    sam = market.known("sam")
    for path in (f"/listings/{number}", f"/orders/{number}"):
        assert_problem(market.ask("GET", path, sam), 404)
    assert_problem(market.ask("POST", f"/orders/{number}/cancel", sam), 404)
    body = {"listing_id": number[:64], "quantity": 1}
    assert_problem(market.ask("POST", "/orders", sam, json=body, headers=key()), 404)


def test_business_is_measured(market: Market, market_platform: Platform) -> None:
    """Listings by kind, orders by what came of them, and what they are worth."""
    names = [
        'ecochain_listings_created_total{classified="false",waste_type="glass"}',
        *(
            f'ecochain_orders_total{{result="{result}"}}'
            for result in ("placed", "replayed", "out-of-stock", "cancelled")
        ),
        "ecochain_order_value_cents_total",
    ]
    replica, sam = market_platform.services["marketplace-service"], market.person()
    before = [series(replica, name) for name in names]
    listing, headers = offer(market, sam, 1), key()
    made = [order(market, sam, listing, headers=headers).json() for _ in range(2)]
    order(market, sam, listing)
    market.ask("POST", f"/orders/{made[0]['id']}/cancel", sam)
    after = [series(replica, name) for name in names]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1, 1, 1, 250]
