"""Profiles: one's own, the tenant's administrator's view, and nobody else's."""

import pytest
from answers import Front, assert_problem

PROFILE = {"name": "Ada", "phone": "+44 20 7946 0000", "address": "12 Lovelace Road"}


def test_a_profile_is_stored_changed_read_and_removed(front: Front) -> None:
    """What was stored is what is read at once, from whichever replica or cache."""
    ada = front.person()
    assert_problem(front.ask("GET", "/users/me", ada), 404)
    assert_problem(front.ask("PATCH", "/users/me", ada, json={"name": "X"}), 404)
    put = front.ask("PUT", "/users/me", ada, json=PROFILE).json()
    assert {name: put[name] for name in PROFILE} == PROFILE
    assert front.ask("GET", "/users/me", ada).json() == put
    changed = front.ask("PATCH", "/users/me", ada, json={"phone": None, "name": "Countess"}).json()
    assert (changed["name"], changed["phone"], changed["address"]) == ("Countess", None, PROFILE["address"])
    assert front.ask("GET", f"/users/{ada['user_id']}", ada).json() == changed
    assert front.ask("PUT", "/users/me", ada, json={"name": "A"}).json()["address"] is None
    assert [front.ask("DELETE", "/users/me", ada).status_code for _ in "12"] == [204, 204]
    assert_problem(front.ask("GET", "/users/me", ada), 404)


def test_a_profile_is_seen_by_its_owner_and_the_administrator_of_the_tenant(front: Front) -> None:
    """Another user gets 403, another tenant's administrator 404."""
    ada, eve = front.person("ada"), front.person("eve")
    front.ask("PUT", "/users/me", ada, json=PROFILE)
    path = f"/users/{ada['user_id']}"
    assert front.ask("GET", path, front.admin).status_code == 200
    assert_problem(front.ask("GET", path, eve), 403)
    other = Front(client=front.client, tag=front.tag + "b")
    assert_problem(front.ask("GET", path, other.admin), 404)


def test_the_administrator_removes_the_profiles_of_the_tenant_and_no_others(front: Front) -> None:
    """They are gone from the cache too."""
    other = Front(client=front.client, tag=front.tag + "b")
    ada, foreign = front.person(), other.person()
    for who in (ada, foreign):
        front.ask("PUT", "/users/me", who, json=PROFILE)
        assert front.ask("GET", "/users/me", who).status_code == 200
    assert_problem(front.ask("DELETE", "/users/tenant", ada), 403)
    assert front.ask("DELETE", "/users/tenant", front.admin).json() == {"removed": {"profiles": 1}}
    assert_problem(front.ask("GET", "/users/me", ada), 404)
    assert front.ask("GET", "/users/me", foreign).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": None}, {"name": "a", "x": 1}, {"name": "a", "phone": "call"}]
)
def test_a_bad_profile_is_a_problem(front: Front, body: dict[str, object]) -> None:
    """It names the field."""
    assert assert_problem(front.ask("PUT", "/users/me", front.person(), json=body), 422)["errors"]


def test_a_strange_id_is_a_problem(front: Front) -> None:
    """Neither NUL nor a path nor a query operator gets to the store."""
    for strange in ("%00", "a%2Fb", "$ne", "x" * 300):
        answer = front.ask("GET", f"/users/{strange}", front.admin)
        assert answer.status_code in {404, 422}, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
