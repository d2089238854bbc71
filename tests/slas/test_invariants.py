"""Invariants: each turns red by exactly what breaks it, and cannot know where nothing was read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slas.expectations import Expectation
from slas.invariants import INVARIANTS
from slas.judge import judge
from slas.timeline import Timeline
from slas.verdicts import Outcome, Verdict

Events = list[dict[str, Any]]
SCENARIO = "store-restart"


def recorded() -> Events:
    """Return the record of ten orders, one of them unanswered, of a sold-out listing and of five pickups."""
    events: Events = [
        {"kind": "order.asked", "t": 12.0, "key": "late", "listing": "l2", "quantity": 1},
        {"kind": "order.refused", "t": 12.1, "key": "late", "status": 409},
        {"kind": "stock.read", "t": 14.0, "listing": "l2", "initial": 1, "stock": 0},
    ]
    for number in range(10):
        key, t = f"key-{number}", 10.0 + number
        events.append({"kind": "order.asked", "t": t, "key": key, "listing": "l1", "quantity": 1})
        if number != 9:
            events.append({"kind": "order.acknowledged", "t": t + 0.1, "key": key, "id": f"o{number}"})
    events += [
        {"kind": "pickup.acknowledged", "t": 20.0 + n, "key": f"p{n}", "id": f"p{n}"} for n in range(5)
    ]
    orders = [{"id": f"o{n}", "listing": "l1", "quantity": 1, "status": "placed"} for n in range(9)]
    events.append({"kind": "stock.read", "t": 15.0, "listing": "l1", "initial": 20, "stock": 15})
    events.append({"kind": "orders.read", "t": 30.0, "orders": orders})
    events.append({"kind": "stock.read", "t": 31.0, "listing": "l1", "initial": 20, "stock": 11})
    events.append({"kind": "pickups.read", "t": 31.0, "pickups": [{"id": f"p{n}"} for n in range(5)]})
    return [{**event, "scenario": SCENARIO} for event in events]


def verdicts(events: Events) -> dict[str, Verdict]:
    asked = [
        Expectation(
            sla="invariant",
            subject=name,
            scenario=SCENARIO,
            start_s=5,
            end_s=40,
            allowed=1,
            unit="bool",
            details={"invariant": name},
        ).as_event()
        for name in INVARIANTS
    ]
    timeline = Timeline.of(events=[*events, *({"kind": "expectation", "t": 40.0, **one} for one in asked)])
    return {verdict.subject: verdict for verdict in judge(timeline)}


def of(events: Events, kind: str) -> dict[str, Any]:
    return next(event for event in reversed(events) if event["kind"] == kind)


def test_all_hold_where_everything_accepted_is_there() -> None:
    """An order that was never answered may be there or not."""
    assert {verdict.verdict for verdict in verdicts(recorded()).values()} == {Outcome.PASS}
    events = recorded()
    of(events, "orders.read")["orders"].append(
        {"id": "o9", "listing": "l1", "quantity": 1, "status": "placed"}
    )
    of(events, "stock.read")["stock"] = 10
    assert {verdict.verdict for verdict in verdicts(events).values()} == {Outcome.PASS}


def lose_an_order(events: Events) -> None:
    del of(events, "orders.read")["orders"][3]
    of(events, "stock.read")["stock"] = 12


def answer_a_key_with_two_orders(events: Events) -> None:
    events.append({"kind": "order.acknowledged", "t": 25, "key": "key-1", "id": "o1b", "scenario": SCENARIO})
    of(events, "orders.read")["orders"].append(
        {"id": "o1b", "listing": "l1", "quantity": 1, "status": "placed"}
    )
    of(events, "stock.read")["stock"] = 10


def make_orders_that_nobody_asked_for(events: Events) -> None:
    for number in ("x", "y"):
        made = {"id": number, "listing": "l1", "quantity": 1, "status": "placed"}
        of(events, "orders.read")["orders"].append(made)
    of(events, "stock.read")["stock"] = 9


def take_the_pieces_twice(events: Events) -> None:
    of(events, "stock.read")["stock"] = 8


def sell_what_is_not_there(events: Events) -> None:
    of(events, "stock.read")["stock"] = 13


def go_below_zero(events: Events) -> None:
    of_listing(events, "l1")["stock"] = -1


def lose_a_pickup(events: Events) -> None:
    del of(events, "pickups.read")["pickups"][0]


@pytest.mark.parametrize(
    ("sabotage", "red"),
    [
        (lose_an_order, "no_acknowledged_order_lost"),
        (answer_a_key_with_two_orders, "no_order_doubled"),
        (make_orders_that_nobody_asked_for, "no_order_doubled"),
        (take_the_pieces_twice, "no_order_doubled"),
        (sell_what_is_not_there, "stock_never_negative"),
        (go_below_zero, "stock_never_negative"),
        (lose_a_pickup, "pickups_kept"),
    ],
)
def test_a_broken_invariant_is_fail_and_only_it(sabotage: Callable[[Events], None], red: str) -> None:
    """What is lost, doubled or negative is named, and the other invariants stay green."""
    events = recorded()
    sabotage(events)
    found = verdicts(events)
    assert {name for name, verdict in found.items() if verdict.verdict is Outcome.FAIL} == {red}
    assert found[red].cause
    others = {name: verdict.verdict for name, verdict in found.items() if name != red}
    assert set(others.values()) == {Outcome.PASS}, others


def drop(*kinds: str) -> Callable[[Events], None]:
    def dropped(events: Events) -> None:
        events[:] = [event for event in events if event["kind"] not in kinds]

    return dropped


def read_too_early(events: Events) -> None:
    for event in events:
        if event["kind"].endswith("s.read"):
            event["t"] = 11.0


def read_only_in_part(events: Events) -> None:
    for kind in ("orders.read", "pickups.read"):
        of(events, kind)["unread"] = "503"


@pytest.mark.parametrize(
    ("sabotage", "unknown"),
    [
        (drop("orders.read"), {"no_acknowledged_order_lost", "no_order_doubled", "stock_never_negative"}),
        (drop("pickups.read"), {"pickups_kept"}),
        (drop("stock.read"), {"no_order_doubled", "stock_never_negative"}),
        (drop("pickup.acknowledged"), {"pickups_kept"}),
        (
            drop("order.acknowledged"),
            {"no_acknowledged_order_lost", "no_order_doubled", "stock_never_negative"},
        ),
        (lambda events: events.clear(), set(INVARIANTS)),
        (read_too_early, set(INVARIANTS)),
        (read_only_in_part, set(INVARIANTS)),
    ],
)
def test_what_was_not_read_back_is_not_known(sabotage: Callable[[Events], None], unknown: set[str]) -> None:
    """Nothing acknowledged, nothing read, or read before the last acknowledgement proves nothing."""
    events = recorded()
    sabotage(events)
    found = verdicts(events)
    assert {name for name, verdict in found.items() if verdict.verdict is Outcome.INCONCLUSIVE} == unknown
    assert not any(verdict.verdict is Outcome.FAIL for verdict in found.values())


@pytest.mark.parametrize(
    ("sabotage", "why"),
    [
        (lambda events: of_listing(events, "l2").update(stock=1), "no listing sold out"),
        (drop("order.refused"), "nobody was refused"),
        # That of another listing says nothing of this one.
        (lambda events: events[0].update(listing="l1"), "nobody was refused"),
    ],
)
def test_where_nothing_was_sold_out_nothing_could_be_oversold(
    sabotage: Callable[[Events], None], why: str
) -> None:
    """A stock that never ran out, and one that nobody asked for any more, would hold on any system."""
    events = recorded()
    sabotage(events)
    found = verdicts(events)
    assert found["stock_never_negative"].verdict is Outcome.INCONCLUSIVE
    assert why in str(found["stock_never_negative"].cause)
    others = {name: verdict.verdict for name, verdict in found.items() if name != "stock_never_negative"}
    assert set(others.values()) == {Outcome.PASS}, others
    # What is seen below zero is red all the same.
    go_below_zero(events)
    assert verdicts(events)["stock_never_negative"].verdict is Outcome.FAIL


def of_listing(events: Events, listing: str) -> dict[str, Any]:
    return next(event for event in events if event["kind"] == "stock.read" and event["listing"] == listing)


def test_pieces_held_by_an_unanswered_order_are_neither_doubled_nor_known() -> None:
    """A reservation whose order was never answered may still become one."""
    events = recorded()
    of(events, "stock.read")["stock"] = 10
    found = verdicts(events)["no_order_doubled"]
    assert found.verdict is Outcome.INCONCLUSIVE
    assert "reserved" in str(found.cause)


def test_another_scenarios_orders_are_not_looked_at() -> None:
    """Events of another scenario in the same window prove nothing."""
    events = [{**event, "scenario": "other"} for event in recorded()]
    assert {verdict.verdict for verdict in verdicts(events).values()} == {Outcome.INCONCLUSIVE}


def test_an_unknown_invariant_is_not_known() -> None:
    """A name that no check stands for is no PASS."""
    asked = Expectation(
        sla="invariant", subject="x", scenario=SCENARIO, start_s=5, end_s=40, allowed=1, unit="bool"
    )
    (verdict,) = judge(Timeline.of(events=[{"kind": "expectation", "t": 40.0, **asked.as_event()}]))
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert "no_order_doubled" in str(verdict.cause)


def audited(*events: dict[str, Any], name: str = "nothing_left_behind") -> Verdict:
    asked = Expectation(
        sla="invariant",
        subject=name,
        scenario=SCENARIO,
        start_s=5,
        end_s=40,
        allowed=1,
        unit="bool",
        details={"invariant": name},
    )
    healed = {"kind": "fault.healed", "t": 20.0, "fault_id": "f1"}
    expectation = {"kind": "expectation", "t": 40.0, **asked.as_event()}
    (verdict,) = judge(Timeline.of(events=[healed, *events, expectation]))
    return verdict


def test_what_a_fault_left_fails_the_scenario() -> None:
    """It is named; a clean audit after the last healing passes."""
    audit: dict[str, Any] = {"kind": "audit.ended", "t": 30.0, "scenario": SCENARIO, "remainders": []}
    assert audited(audit).verdict is Outcome.PASS
    left = audited({**audit, "remainders": ["cordon at node1: takes no new pods"]})
    assert left.verdict is Outcome.FAIL
    assert "cordon at node1" in str(left.cause)


@pytest.mark.parametrize("change", [{"t": 19.0}, {"scenario": "other"}, {"unseen": "node2 does not answer"}])
def test_an_audit_that_could_not_see_it_all_is_no_clean_one(change: dict[str, Any]) -> None:
    """One of before the healing, one of another scenario, one that could not look everywhere, and none."""
    audit: dict[str, Any] = {"kind": "audit.ended", "t": 30.0, "scenario": SCENARIO, "remainders": []}
    assert audited(audit | change).verdict is Outcome.INCONCLUSIVE
    assert audited().verdict is Outcome.INCONCLUSIVE


def test_a_replica_that_does_not_come_back_fails_the_scenario() -> None:
    """Whoever it is of; more than before, and what was not ready before, are no finding."""
    before: dict[str, Any] = {"kind": "strength.read", "t": 10.0, "scenario": SCENARIO, "when": "before"}
    before["ready"] = {"api": 2, "ferretdb": 1, "vision-service": 0}
    after = {**before, "t": 30.0, "when": "after"}
    whole = audited(before, {**after, "ready": {"api": 3, "ferretdb": 1}}, name="full_strength_again")
    assert whole.verdict is Outcome.PASS
    weak = audited(before, {**after, "ready": {"api": 1, "ferretdb": 1}}, name="full_strength_again")
    assert (weak.verdict, weak.cause) == (Outcome.FAIL, "api has 1 of 2 replicas ready")
    for events in ([], [before], [before, {**after, "t": 19.0}]):
        assert audited(*events, name="full_strength_again").verdict is Outcome.INCONCLUSIVE
