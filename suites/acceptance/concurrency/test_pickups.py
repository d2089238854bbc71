"""Pickups at the same moment: one collector takes it, a key asks once, no state is skipped or left twice."""

from __future__ import annotations

import uuid
from collections import Counter
from functools import partial

import pytest

from fixtures.acceptance.client import at_once
from fixtures.acceptance.problems import problem_of
from fixtures.acceptance.scenes import PICKUP, Scenes

_WHEN = {"at": "2099-01-02T09:30:00Z"}


def test_two_collectors_of_one_pickup_give_one_assignment(scenes: Scenes) -> None:
    """Of two collectors at the same moment one takes the pickup, again and again."""
    for _ in range(6):
        path = f"/pickups/{scenes.pickup('scheduled')['id']}"
        both = (scenes.collector, scenes.other_collector)
        answers = at_once([partial(who.send, "POST", f"{path}/assign") for who in both])
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 1}
        winner = next(who for who, answer in zip(both, answers, strict=True) if answer.status_code == 200)
        assert scenes.owner.expect(200, "GET", path)["collector"] == winner.id


def test_same_key_at_once_asks_for_one_pickup(scenes: Scenes) -> None:
    """Four requests with one key at the same moment are one pickup."""
    headers = {"idempotency-key": uuid.uuid4().hex}
    citizen = scenes.tenant.people.citizen()
    answers = at_once([partial(citizen.send, "POST", "/pickups", json=PICKUP, headers=headers)] * 4)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 3}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(citizen.expect(200, "GET", "/pickups")["items"]) == 1


@pytest.mark.parametrize(
    ("state", "verb"),
    [
        ("requested", "assign"),
        ("assigned", "assign"),
        ("assigned", "schedule"),
        ("completed", "complete"),
        ("completed", "cancel"),
        ("completed", "schedule"),
    ],
)
def test_wrong_step_is_refused(scenes: Scenes, state: str, verb: str) -> None:
    """A step that the pickup's state does not allow is refused, and the pickup stays as it was."""
    pickup = scenes.pickup(state)
    path = f"/pickups/{pickup['id']}"
    who = scenes.collector if verb in {"assign", "complete"} else scenes.owner
    body = {"schedule": _WHEN, "complete": {"collected_kg": 1.0}}.get(verb)
    problem_of(who.send("POST", f"{path}/{verb}", **({"json": body} if body else {})), 409)
    assert scenes.owner.expect(200, "GET", path) == pickup


def test_cancelled_pickup_cannot_be_taken(scenes: Scenes) -> None:
    """A cancelled pickup is in no collector's list, and nobody takes it."""
    path = f"/pickups/{(pickup := scenes.pickup('scheduled'))['id']}"
    assert scenes.owner.expect(200, "POST", f"{path}/cancel")["status"] == "cancelled"
    problem_of(scenes.collector.send("POST", f"{path}/assign"), 409)
    shown = scenes.collector.expect(200, "GET", "/pickups/open", params={"limit": 100})["items"]
    assert pickup["id"] not in [entry["id"] for entry in shown]
