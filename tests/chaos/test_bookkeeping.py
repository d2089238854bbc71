"""The bookkeeper: what it writes lets the checker see what was lost, doubled or oversold."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from front_door import FrontDoor

from core.errors import InconclusiveError
from fixtures.chaos import bookkeeping
from fixtures.chaos.bookkeeping import Bookkeeper
from slas.expectations import Expectation
from slas.invariants import INVARIANTS
from slas.judge import judge
from slas.timeline import Timeline
from slas.verdicts import Outcome


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bookkeeping, "ORDERS_PER_S", 100.0)
    monkeypatch.setattr(bookkeeping, "PICKUPS_PER_S", 50.0)
    monkeypatch.setattr(bookkeeping, "LOOKS_PER_S", 20.0)
    monkeypatch.setattr(bookkeeping, "_AGAIN_S", 0.02)
    monkeypatch.setattr(bookkeeping, "_SETTLE_S", 0.3)


def kept(
    door: FrontDoor, *, seconds: float = 0.6, spoil: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """Return the events of books kept for a while; `spoil` comes before everything is read back."""
    events: list[dict[str, Any]] = []

    def emit(kind: str, **fields: object) -> None:
        events.append({"t": time.time(), "kind": kind, **fields})

    with Bookkeeper(door.client(), "crash", emit=emit, say=lambda _: None) as books:
        books.start()
        time.sleep(seconds)
        spoil()
        books.close()
    return events


def outcomes(events: list[dict[str, Any]]) -> dict[str, Outcome]:
    now = time.time()
    asked = [
        Expectation(
            sla="invariant",
            subject=name,
            scenario="crash",
            start_s=now - 60,
            end_s=now,
            allowed=1,
            unit="bool",
            details={"invariant": name},
        ).as_event()
        for name in INVARIANTS
    ]
    timeline = Timeline.of(events=[*events, *({"kind": "expectation", "t": now, **one} for one in asked)])
    return {verdict.subject: verdict.verdict for verdict in judge(timeline)}


def test_an_honest_platform_keeps_every_invariant_and_nothing_is_left() -> None:
    """Both listings are ordered from, the scarce one until it is sold out."""
    door = FrontDoor()
    events = kept(door)
    assert set(outcomes(events).values()) == {Outcome.PASS}
    assert sum(event["kind"] == "order.acknowledged" for event in events) > 20
    assert any(event["kind"] == "order.refused" for event in events)
    assert door.listings["l1"]["stock"] == 0
    assert door.removed == ["/pickups/tenant", "/listings/tenant", "/users/tenant", "/auth/tenant"]


def test_an_order_that_was_done_and_not_answered_is_asked_again_with_its_key() -> None:
    """The second sending finds it: nothing is doubled, and it counts as acknowledged."""
    door, seen = FrontDoor(), set()

    def lose_the_first_answer(request: httpx.Request) -> httpx.Response | None:
        key = request.headers.get("idempotency-key", "")
        if request.method == "POST" and request.url.path == "/orders" and key not in seen:
            seen.add(key)
            return httpx.Response(503)
        return None

    door.after = lose_the_first_answer
    events = kept(door)
    assert set(outcomes(events).values()) == {Outcome.PASS}
    acknowledged = [event for event in events if event["kind"] == "order.acknowledged"]
    assert acknowledged
    assert all(event["replayed"] for event in acknowledged)


def test_a_lost_order_and_a_lost_pickup_are_found() -> None:
    """Each by its own invariant."""
    door = FrontDoor()

    def lose() -> None:
        del door.orders[next(iter(door.orders))]
        del door.pickups[next(iter(door.pickups))]

    found = outcomes(kept(door, spoil=lose))
    assert found["no_acknowledged_order_lost"] is Outcome.FAIL
    assert found["pickups_kept"] is Outcome.FAIL


def test_pieces_that_go_twice_are_found() -> None:
    """The orders are right, but each took two."""
    door = FrontDoor()
    door.takes = 2
    found = outcomes(kept(door))
    assert found["no_order_doubled"] is Outcome.FAIL


def test_a_stock_below_zero_is_found() -> None:
    """Another's careless update sells what is not there."""
    door = FrontDoor()
    found = outcomes(kept(door, spoil=lambda: door.listings["l1"].update(stock=-1)))
    assert found["stock_never_negative"] is Outcome.FAIL


def test_a_sold_out_listing_is_asked_for_at_the_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody came to ask for it before."""
    monkeypatch.setattr(bookkeeping, "_STOCKS", {"plenty": 100_000, "scarce": 0})
    monkeypatch.setattr(bookkeeping, "_SCARCE_EVERY", 1_000_000)
    events = kept(FrontDoor())
    assert len([event for event in events if event["kind"] == "order.refused"]) == 1
    assert outcomes(events)["stock_never_negative"] is Outcome.PASS


def test_what_cannot_be_read_back_is_not_known() -> None:
    """A platform that stays down after the recovery has not proved that it kept anything."""
    door = FrontDoor()

    def down() -> None:
        door.before = lambda request: httpx.Response(503) if request.method == "GET" else None

    found = outcomes(kept(door, spoil=down))
    assert Outcome.PASS not in {found[name] for name in INVARIANTS}
    assert found["no_acknowledged_order_lost"] is Outcome.INCONCLUSIVE


def test_a_front_door_that_takes_no_order_stops_the_scenario_before_it_begins() -> None:
    """Neither without a tenant nor without a first order is anything done, and nothing is left."""
    door = FrontDoor()
    door.before = lambda request: httpx.Response(503) if request.url.path == "/orders" else None
    with pytest.raises(InconclusiveError, match="invariants cannot be watched"):
        kept(door)
    assert "/auth/tenant" in door.removed
    door.before = lambda _: httpx.Response(503)
    with pytest.raises(InconclusiveError, match="nothing was done"):
        kept(door)


@pytest.mark.parametrize(
    "answer", [{"status_code": 500}, {"status_code": 200, "text": "gone"}, {"status_code": 200, "json": []}]
)
def test_a_tenant_that_cannot_be_removed_is_said(answer: dict[str, Any]) -> None:
    """It is in the timeline, and no error hides what the scenario found."""
    door = FrontDoor()
    door.after = lambda request: httpx.Response(**answer) if request.method == "DELETE" else None
    events = kept(door)
    (left,) = [event for event in events if event["kind"] == "tenant.left"]
    assert "DELETE" in left["reason"]
    assert set(outcomes(events).values()) == {Outcome.PASS}
