"""People and tokens that must not get in."""

from __future__ import annotations

import time

import pytest

from fixtures.acceptance.client import Caller, UnexpectedAnswerError
from fixtures.acceptance.people import People, Person
from fixtures.acceptance.tenant import Tenant

# A token's times are whole seconds; a service's clock may be another machine's.
_MARGIN_S = 1.5


@pytest.fixture(scope="session")
def good(people: People) -> Person:
    """Return somebody with a good token, to be changed.

    Every service has seen it: one that remembers good tokens by a part of them would take a changed one.
    """
    person = people.citizen()
    for path in ("/auth/verify", "/users/me", "/pickups", "/vision/model", "/listings"):
        answer = person.send("GET", path)
        if answer.status_code not in (200, 404):
            raise UnexpectedAnswerError(answer, "200, or 404 for a profile that is not there yet")
    return person


@pytest.fixture(scope="session")
def other_collector(other_tenant: Tenant) -> Person:
    """Return a collector of another tenant."""
    return other_tenant.people.collector()


@pytest.fixture(scope="session")
def expired(people: People, anyone: Caller) -> str:
    """Return a good token whose second of life is over."""
    person = people.citizen()
    grant = anyone.expect(200, "POST", "/auth/login", json=person.credentials | {"ttl_s": 1})
    assert grant["expires_in"] == 1, f"asked for a token of one second, got {grant['expires_in']}"
    time.sleep(grant["expires_in"] + _MARGIN_S)
    token: str = grant["token"]
    return token
