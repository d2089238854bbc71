"""Other people's data: refused within a tenant, not there from another one, unchanged by asking."""

from __future__ import annotations

import pytest

from fixtures.acceptance.contracts import OPERATIONS, Operation
from fixtures.acceptance.people import Person, new_email, new_password
from fixtures.acceptance.problems import problem_of
from fixtures.acceptance.scenes import Scenes, ordering
from fixtures.acceptance.tenant import Tenant

ADDRESSED = [o for o in OPERATIONS if "{" in o.path and o.protected]
# A listing may be read by everybody of its tenant.
OWN = [o for o in ADDRESSED if o.key != "GET /listings/{}"]
ADMINS = [o for o in OPERATIONS if o.who == "admin"]


@pytest.mark.parametrize("operation", OWN, ids=lambda o: o.key)
def test_another_users_data_is_refused(scenes: Scenes, operation: Operation) -> None:
    """Somebody of the same tenant who has nothing to do with it is refused, and it stays as it was."""
    ready = scenes.ready(operation)
    stranger = scenes.other_collector if operation.who == "its collector" else scenes.stranger
    assert ready.look is not None
    before = ready.owner.expect(200, "GET", ready.look)
    problem_of(ready.send(stranger), 403)
    assert ready.owner.expect(200, "GET", ready.look) == before


@pytest.mark.parametrize("operation", ADDRESSED, ids=lambda o: o.key)
def test_another_tenants_data_is_not_found(
    scenes: Scenes, other_tenant: Tenant, other_collector: Person, operation: Operation
) -> None:
    """From another tenant it is not there, for its admin either, and it stays as it was."""
    ready = scenes.ready(operation)
    assert ready.look is not None
    before = ready.owner.expect(200, "GET", ready.look)
    takes_collector = operation.who in {"collector", "its collector"}
    problem_of(ready.send(other_collector if takes_collector else other_tenant.admin), 404)
    assert ready.owner.expect(200, "GET", ready.look) == before


def test_another_tenants_listing_cannot_be_ordered(scenes: Scenes, other_tenant: Tenant) -> None:
    """Nobody orders what another tenant offers."""
    listing = scenes.listing(stock=1)
    problem_of(other_tenant.admin.send("POST", "/orders", **ordering(listing)), 404)
    assert scenes.owner.expect(200, "GET", f"/listings/{listing['id']}")["stock"] == 1


def test_another_tenants_things_are_not_listed(scenes: Scenes, other_collector: Person) -> None:
    """What a tenant offers or wants collected is in no list of another tenant."""
    listing, pickup = scenes.listing(), scenes.pickup("scheduled")
    offered = other_collector.expect(200, "GET", "/listings", params={"limit": 100})["items"]
    wanted = other_collector.expect(200, "GET", "/pickups/open", params={"limit": 100})["items"]
    shown = {entry["id"] for entry in offered + wanted}
    assert not shown & {listing["id"], pickup["id"]}


@pytest.mark.parametrize("operation", ADMINS, ids=lambda o: o.key)
def test_only_an_admin_removes_a_tenant(scenes: Scenes, operation: Operation) -> None:
    """A citizen and a collector cannot remove what the tenant holds."""
    listing = scenes.listing()
    for person in (scenes.stranger, scenes.collector):
        problem_of(person.send(operation.method, operation.path), 403)
    assert scenes.owner.expect(200, "GET", f"/listings/{listing['id']}") == listing


@pytest.mark.parametrize("path", ["/pickups", "/orders"])
def test_own_lists_show_nothing_of_others(scenes: Scenes, path: str) -> None:
    """Somebody who asked for nothing and ordered nothing has empty lists."""
    scenes.pickup()
    scenes.order(scenes.listing())
    assert scenes.stranger.expect(200, "GET", path)["items"] == []


def test_citizen_sees_no_open_pickups(scenes: Scenes) -> None:
    """What is to be collected, and where people live, is for collectors only."""
    problem_of(scenes.stranger.send("GET", "/pickups/open"), 403)


@pytest.mark.parametrize("role", ["admin", "root"])
def test_nobody_makes_himself_an_admin(scenes: Scenes, role: str) -> None:
    """A sign-up cannot choose a role that is given by making a tenant."""
    account = {"email": new_email(), "password": new_password(), "tenant": scenes.tenant.name}
    problem_of(scenes.stranger.send("POST", "/auth/register", json=account | {"role": role}), 422)
