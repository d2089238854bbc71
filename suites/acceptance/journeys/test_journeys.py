"""What people come for, from the first step to the last, through the front door."""

from __future__ import annotations

import pytest

from fixtures.acceptance.people import ADDRESS, People
from fixtures.acceptance.pictures import picture_of
from fixtures.acceptance.scenes import ordering

pytestmark = pytest.mark.smoke


def test_from_sign_up_to_order(people: People) -> None:
    """Two people sign up, one offers something, the other orders it: stock, total and both lists say so."""
    seller, buyer = people.citizen(), people.citizen()
    seller.expect(200, "PUT", "/users/me", json={"name": "Asha", "phone": "+91 20 5550 0100"})
    assert seller.expect(200, "GET", "/users/me")["name"] == "Asha"
    offer = {"title": "Glass jars", "price_cents": 350, "stock": 5, "waste_type": "glass"}
    listing = seller.expect(201, "POST", "/listings", json=offer)
    assert listing["seller"] == seller.id
    order = buyer.expect(201, "POST", "/orders", **ordering(listing, 2))
    assert (order["buyer"], order["total_cents"], order["status"]) == (buyer.id, 700, "placed")
    assert buyer.expect(200, "GET", f"/listings/{listing['id']}")["stock"] == 3
    assert [kept["id"] for kept in buyer.expect(200, "GET", "/orders")["items"]] == [order["id"]]
    assert seller.expect(200, "GET", f"/orders/{order['id']}") == order


def test_pickup_from_request_to_completion(people: People) -> None:
    """A pickup without an address takes the profile's, and passes every state up to what was collected."""
    citizen, collector = people.citizen(), people.collector()
    citizen.expect(200, "PUT", "/users/me", json={"name": "Ravi", "address": ADDRESS})
    pickup = citizen.expect(201, "POST", "/pickups", json={"waste_type": "metal", "weight_kg": 12.5})
    path = f"/pickups/{pickup['id']}"
    assert (pickup["status"], pickup["owner"], pickup["address"]) == ("requested", citizen.id, ADDRESS)
    citizen.expect(200, "POST", f"{path}/schedule", json={"at": "2099-03-01T08:00:00Z"})
    assert pickup["id"] in [shown["id"] for shown in collector.expect(200, "GET", "/pickups/open")["items"]]
    assert collector.expect(200, "POST", f"{path}/assign")["collector"] == collector.id
    collector.expect(200, "POST", f"{path}/complete", json={"collected_kg": 11.75})
    done = citizen.expect(200, "GET", path)
    assert (done["status"], done["collected_kg"]) == ("completed", 11.75)
    assert [step["status"] for step in done["history"]] == ["requested", "scheduled", "assigned", "completed"]


@pytest.mark.parametrize("waste_type", ["plastic", "paper", "glass", "metal", "organic"])
def test_from_picture_to_listing(people: People, waste_type: str) -> None:
    """A picture is classified, and a listing with that picture is of that kind without anybody saying so."""
    citizen = people.citizen()
    seen = citizen.expect(
        200,
        "POST",
        "/vision/classifications",
        content=picture_of(waste_type),
        headers={"content-type": "image/png"},
    )
    assert seen["label"] == waste_type
    offer = {
        "title": "As pictured",
        "price_cents": 100,
        "stock": 1,
        "picture": picture_of(waste_type, base64=True),
    }
    listing = citizen.expect(201, "POST", "/listings", json=offer)
    assert (listing["waste_type"], listing["classified"]) == (waste_type, True)
    found = citizen.expect(200, "GET", "/listings", params={"waste_type": waste_type, "limit": 100})
    assert listing["id"] in [shown["id"] for shown in found["items"]]
