"""Orders at the same moment: stock never negative, a key orders once, a cancelled order gives back once."""

from __future__ import annotations

import uuid
from collections import Counter
from functools import partial
from typing import Any

import pytest

from fixtures.acceptance.client import at_once
from fixtures.acceptance.people import Person
from fixtures.acceptance.problems import problem_of
from fixtures.acceptance.scenes import Scenes, ordering


def _stock(scenes: Scenes, listing: dict[str, Any]) -> int:
    stock: int = scenes.owner.expect(200, "GET", f"/listings/{listing['id']}")["stock"]
    return stock


def _order_one(buyer: Person, listing: dict[str, Any]) -> bool:
    """Order one piece as a careful client does; return whether it was sold.

    After a 503 nobody knows what was done, so the same key is sent again, as the key is meant.
    """
    order = ordering(listing)
    answer = buyer.send("POST", "/orders", **order)
    if answer.status_code == 503:
        answer = buyer.send("POST", "/orders", **order)
        if answer.status_code == 200:
            return True
    if answer.status_code != 201:
        assert problem_of(answer, 409)["type"].endswith("out-of-stock")
    return answer.status_code == 201


def _sold(listing: dict[str, Any], buyers: list[Person]) -> int:
    """Let the buyers order one each at once; return how many got it."""
    return sum(at_once([partial(_order_one, buyer, listing) for buyer in buyers]))


@pytest.mark.smoke
def test_two_buyers_of_one_item_give_one_order(scenes: Scenes) -> None:
    """Of two buyers at the same moment one gets the last item, again and again."""
    for _ in range(8):
        listing = scenes.listing(stock=1)
        assert _sold(listing, [scenes.buyer, scenes.stranger]) == 1
        assert _stock(scenes, listing) == 0


def test_many_buyers_get_no_more_than_there_is(scenes: Scenes) -> None:
    """Twelve buyers of five items give five orders."""
    listing = scenes.listing(stock=5)
    assert _sold(listing, [scenes.buyer, scenes.stranger, scenes.collector] * 4) == 5
    assert _stock(scenes, listing) == 0


def test_more_than_there_is_is_refused(scenes: Scenes) -> None:
    """An order of more than the stock is refused and takes nothing."""
    listing = scenes.listing(stock=2)
    problem = problem_of(scenes.buyer.send("POST", "/orders", **ordering(listing, 3)), 409)
    assert problem["type"].endswith("out-of-stock")
    assert _stock(scenes, listing) == 2


def test_same_key_at_once_gives_one_order(scenes: Scenes) -> None:
    """Six requests with one key at the same moment are one order; the others are told the same one."""
    for _ in range(4):
        listing, key = scenes.listing(stock=10), uuid.uuid4().hex
        answers = at_once([partial(scenes.buyer.send, "POST", "/orders", **ordering(listing, 2, key))] * 6)
        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 5}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert _stock(scenes, listing) == 8


def test_repeated_order_is_the_same_order(scenes: Scenes) -> None:
    """A key sent again gives the same order, and says so; another buyer's equal key is another order."""
    listing, key = scenes.listing(stock=5), uuid.uuid4().hex
    first = scenes.buyer.expect(201, "POST", "/orders", **ordering(listing, 1, key))
    again = scenes.buyer.send("POST", "/orders", **ordering(listing, 1, key))
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (200, "true")
    assert again.json() == first
    assert scenes.stranger.expect(201, "POST", "/orders", **ordering(listing, 1, key))["id"] != first["id"]


def test_key_of_another_order_is_refused(scenes: Scenes) -> None:
    """A key sent again with another body is refused, and orders nothing."""
    listing, key = scenes.listing(stock=5), uuid.uuid4().hex
    scenes.buyer.expect(201, "POST", "/orders", **ordering(listing, 1, key))
    problem_of(scenes.buyer.send("POST", "/orders", **ordering(listing, 2, key)), 422)
    assert _stock(scenes, listing) == 4


def test_cancelling_at_once_returns_the_stock_once(scenes: Scenes) -> None:
    """However often and however concurrently an order is cancelled, its stock comes back once."""
    for _ in range(4):
        listing = scenes.listing(stock=3)
        path = f"/orders/{scenes.order(listing, 2)['id']}/cancel"
        for answer in at_once([partial(scenes.buyer.send, "POST", path)] * 4):
            if answer.status_code != 200:
                problem_of(answer, 409)
        scenes.buyer.send("POST", path)
        assert _stock(scenes, listing) == 3


def test_cancelled_order_says_so(scenes: Scenes) -> None:
    """A cancelled order stays in the buyer's list, as cancelled."""
    order = scenes.order(scenes.listing())
    assert scenes.buyer.expect(200, "POST", f"/orders/{order['id']}/cancel")["status"] == "cancelled"
    assert scenes.buyer.expect(200, "GET", f"/orders/{order['id']}")["status"] == "cancelled"
