"""collection-service as a process: the life of a pickup, whose it is, and life without user-service."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from answers import assert_problem
from collection_service.steps import STEPS
from domain_platform import Market, at_once, key, lost, series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from platform_under_test import Platform

WANTED = {"waste_type": "metal", "weight_kg": 12.5, "address": "1 Green Road"}
BODIES: dict[str, dict[str, Any]] = {
    "schedule": {"at": "2099-01-02T09:30:00Z"},
    "complete": {"collected_kg": 11.75},
}


def ask_for(front: Market, owner: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = front.ask("POST", "/pickups", owner, json={**WANTED, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def step(front: Market, who: dict[str, Any], pickup: dict[str, Any], name: str) -> Any:
    return front.ask("POST", f"/pickups/{pickup['id']}/{name}", who, json=BODIES.get(name))


def test_a_pickup_goes_from_its_request_to_its_completion(market: Market, market_platform: Platform) -> None:
    """Each step says so, is in the history with its time and person, and is counted."""
    ada, carl = market.person("ada"), market.person("carl", "collector")
    collection = market_platform.services["collection-service"]
    collected = 'ecochain_collected_kilograms_total{waste_type="metal"}'
    before = series(collection, collected)
    pickup = ask_for(market, ada, note="at the gate")
    assert (pickup["status"], pickup["owner"], pickup["collector"]) == ("requested", ada["user_id"], None)
    for who, name, status in (
        (ada, "schedule", "scheduled"),
        (carl, "assign", "assigned"),
        (carl, "complete", "completed"),
    ):
        assert step(market, who, pickup, name).json()["status"] == status
    done = market.ask("GET", f"/pickups/{pickup['id']}", ada).json()
    assert (done["collector"], done["collected_kg"], done["note"]) == (carl["user_id"], 11.75, "at the gate")
    assert done["scheduled_for"] == "2099-01-02T09:30:00Z"
    assert [one["status"] for one in done["history"]] == ["requested", "scheduled", "assigned", "completed"]
    assert [one["by"] for one in done["history"]] == [ada["user_id"]] * 2 + [carl["user_id"]] * 2
    assert series(collection, collected) - before == 11.75


STATES = {
    "requested": [],
    "scheduled": ["schedule"],
    "assigned": ["schedule", "assign"],
    "completed": ["schedule", "assign", "complete"],
    "cancelled": ["cancel"],
}


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(names=st.lists(st.sampled_from([one.name for one in STEPS]), min_size=1, max_size=6))
def test_any_order_of_steps_follows_the_table(market: Market, names: list[str]) -> None:
    """A step that the state allows is taken; any other is 409 and changes nothing."""
    people = {"owner": market.known("ada"), "collector": market.known("carl", "collector")}
    table = {one.name: one for one in STEPS}
    pickup = ask_for(market, people["owner"])
    expected = pickup
    for name in names:
        rule = table[name]
        answer = step(market, people[rule.whose or "collector"], pickup, name)
        if expected["status"] in rule.before:
            assert answer.status_code == 200, answer.text
            expected = answer.json()
            assert expected["status"] == rule.after
        else:
            assert_problem(answer, 409)
        assert market.ask("GET", f"/pickups/{pickup['id']}", people["owner"]).json() == expected


def test_only_whose_it_is_takes_a_step(market: Market) -> None:
    """Another citizen, another collector and the owner in a collector's place get 403."""
    ada, eve = market.person("ada"), market.person("eve")
    carl, cora = market.person("carl", "collector"), market.person("cora", "collector")
    pickup = ask_for(market, ada)
    for name in ("schedule", "cancel"):
        assert_problem(step(market, eve, pickup, name), 403)
    assert_problem(step(market, ada, pickup, "assign"), 403)
    step(market, ada, pickup, "schedule")
    step(market, carl, pickup, "assign")
    assert_problem(step(market, cora, pickup, "complete"), 403)
    for stranger in (eve, cora):
        assert_problem(market.ask("GET", f"/pickups/{pickup['id']}", stranger), 403)
    assert market.ask("GET", f"/pickups/{pickup['id']}", market.admin).status_code == 200


def test_two_collectors_at_once_are_one(market: Market) -> None:
    """The other gets 409, again and again."""
    ada, carl, cora = (
        market.person("ada"),
        market.person("carl", "collector"),
        market.person("cora", "collector"),
    )
    for _ in range(8):
        pickup = ask_for(market, ada)
        step(market, ada, pickup, "schedule")
        answers = at_once([partial(step, market, who, pickup, "assign") for who in (carl, cora) * 3])
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200, 409, 409, 409, 409, 409]
        assert len(market.ask("GET", f"/pickups/{pickup['id']}", ada).json()["history"]) == 3


def test_a_key_asks_once(market: Market) -> None:
    """At once and later it is the same pickup; with another body refused, from another person another."""
    ada, eve, headers = market.person("ada"), market.person("eve"), key()
    answers = at_once([partial(market.ask, "POST", "/pickups", ada, json=WANTED, headers=headers)] * 5)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    again = market.ask("POST", "/pickups", ada, json=WANTED, headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert_problem(market.ask("POST", "/pickups", ada, json={**WANTED, "weight_kg": 1}, headers=headers), 422)
    assert market.ask("POST", "/pickups", eve, json=WANTED, headers=headers).status_code == 201
    assert len(market.ask("GET", "/pickups", ada).json()["items"]) == 1


def test_lists_are_one_s_own_in_pages(market: Market) -> None:
    """Newest first and each once; open ones are for the tenant's collectors."""
    ada, carl = market.person("ada"), market.person("carl", "collector")
    made = [ask_for(market, ada)["id"] for _ in range(5)]
    for number in made[:3]:
        step(market, ada, {"id": number}, "schedule")
    seen, cursor = [], ""
    while cursor is not None:
        page = market.ask("GET", f"/pickups?limit=2{cursor and '&cursor=' + cursor}", ada).json()
        seen, cursor = seen + [one["id"] for one in page["items"]], page["next"]
    assert seen == made[::-1]
    assert market.ask("GET", "/pickups/open", carl).json()["items"][-1]["id"] == made[0]
    assert_problem(market.ask("GET", "/pickups/open", ada), 403)
    step(market, carl, {"id": made[0]}, "assign")
    assert [one["id"] for one in market.ask("GET", "/pickups", carl).json()["items"]] == [made[0]]
    assert len(market.ask("GET", "/pickups/open", carl).json()["items"]) == 2
    assert_problem(market.ask("GET", "/pickups?cursor=nonsense", ada), 422)


def test_the_address_is_the_profile_s(market: Market) -> None:
    """Without either there is no pickup."""
    ada = market.person()
    body = {"waste_type": "glass", "weight_kg": 1}
    problem = assert_problem(market.ask("POST", "/pickups", ada, json=body), 422)
    assert problem["errors"][0]["field"] == "address"
    market.ask("PUT", "/users/me", ada, json={"name": "Ada", "address": "7 Home Street"})
    assert market.ask("POST", "/pickups", ada, json=body).json()["address"] == "7 Home Street"


def test_without_user_service_a_pickup_is_accepted_and_gets_its_address_later(
    market: Market, market_platform: Platform
) -> None:
    """It says so, and is not scheduled until then; a pickup with an address misses nothing."""
    ada = market.person()
    market.ask("PUT", "/users/me", ada, json={"name": "Ada", "address": "7 Home Street"})
    with lost(market_platform.services["user-service"]):
        answer = market.ask("POST", "/pickups", ada, json={"waste_type": "glass", "weight_kg": 1})
        assert (answer.status_code, answer.headers["x-degraded"]) == (201, "user-service")
        pickup = answer.json()
        assert pickup["address"] is None
        refused = step(market, ada, pickup, "schedule")
        assert_problem(refused, 503)
        assert "retry-after" in refused.headers
        complete = market.ask("POST", "/pickups", ada, json=WANTED)
        assert "x-degraded" not in complete.headers
        assert step(market, ada, complete.json(), "schedule").status_code == 200
    assert step(market, ada, pickup, "schedule").json()["address"] == "7 Home Street"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"waste_type": "gold", "weight_kg": 1}, "waste_type"),
        ({"waste_type": "glass", "weight_kg": 0}, "weight_kg"),
        ({"waste_type": "glass", "weight_kg": 1e300}, "weight_kg"),
        ({"waste_type": "glass", "weight_kg": "heavy"}, "weight_kg"),
        ({"waste_type": "glass", "weight_kg": 1, "address": ""}, "address"),
        ({"waste_type": "glass", "weight_kg": 1, "price": 1}, "price"),
        ({"waste_type": "glass", "weight_kg": 1, "note": "x" * 1001}, "note"),
    ],
)
def test_a_bad_pickup_is_a_problem(market: Market, body: dict[str, object], field: str) -> None:
    """It names the field."""
    problem = assert_problem(market.ask("POST", "/pickups", market.known("ada"), json=body), 422)
    assert field in [one["field"] for one in problem["errors"]]


@pytest.mark.parametrize(
    "at",
    ["yesterday", "2001-01-01T00:00:00Z", "2099-01-01T00:00:00", "0001-01-01T00:00:00+23:00", 1e308, None],
)
def test_a_bad_time_is_a_problem(market: Market, at: object) -> None:
    """Of no kind that a calendar has, without a zone, or past."""
    ada = market.known("ada")
    path = f"/pickups/{ask_for(market, ada)['id']}/schedule"
    assert_problem(
        market.ask(
            "POST",
            path,
            ada,
            content=f'{{"at": {at!r}}}'.replace("'", '"').replace("None", "null"),
            headers={"content-type": "application/json"},
        ),
        422,
    )


def test_strange_text_is_kept_or_refused(market: Market) -> None:
    """NUL, lone surrogates, whole planes and Infinity never are a server's error."""
    ada = market.known("ada")
    head = '{"waste_type": "glass", "weight_kg": %s, "address": "%s"}'
    for weight, address in (
        ("1", "\\u0000"),
        ("1", "\\ud800"),
        ("1", "😀é\\u202e"),
        ("Infinity", "a"),
        ("1" * 5000, "a"),
        ("1", "\\\\$where"),
    ):
        content = (head % (weight, address)).encode()
        answer = market.ask(
            "POST", "/pickups", ada, content=content, headers={"content-type": "application/json"}
        )
        assert answer.status_code in {201, 400, 422}, answer.text


@pytest.mark.parametrize("unknown", ["0" * 32, "0" * 24, "no", "%00", "$ne", "x" * 300, "a%2Fb"])
def test_an_unknown_pickup_is_not_found(market: Market, unknown: str) -> None:
    """Whatever its id looks like; nor is another tenant's."""
    assert_problem(market.ask("GET", f"/pickups/{unknown}", market.known("ada")), 404)


def test_another_tenant_s_pickups_are_not_there(market: Market) -> None:
    """Not for its administrator either, who removes his own tenant's only."""
    other = market.other()
    pickup = ask_for(market, market.known("ada"))
    assert_problem(other.ask("GET", f"/pickups/{pickup['id']}", other.admin), 404)
    assert_problem(step(other, other.person("cole", "collector"), pickup, "assign"), 404)
    assert other.ask("DELETE", "/pickups/tenant", other.admin).json() == {"removed": {"pickups": 0}}
    assert_problem(market.ask("DELETE", "/pickups/tenant", market.known("ada")), 403)
    assert market.ask("DELETE", "/pickups/tenant", market.admin).json()["removed"]["pickups"] >= 1
    assert_problem(market.ask("GET", f"/pickups/{pickup['id']}", market.known("ada")), 404)
