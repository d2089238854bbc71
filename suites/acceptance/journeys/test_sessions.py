"""A session: it is refreshed, it ends, and a stolen refresh token ends it for everybody."""

from __future__ import annotations

import pytest

from fixtures.acceptance.client import Caller
from fixtures.acceptance.people import People
from fixtures.acceptance.problems import problem_of

pytestmark = pytest.mark.smoke


def _refresh(anyone: Caller, token: str | None) -> str:
    refreshed = anyone.expect(200, "POST", "/auth/refresh", json={"refresh_token": token})["refresh_token"]
    assert isinstance(refreshed, str)
    return refreshed


def test_refreshed_session_goes_on(people: People, anyone: Caller) -> None:
    """A refresh gives a token that opens the same account."""
    person = people.citizen()
    grant = anyone.expect(200, "POST", "/auth/refresh", json={"refresh_token": person.refresh_token})
    assert person.bearing(grant["token"]).expect(200, "GET", "/auth/verify")["user_id"] == person.id


def test_reused_refresh_token_ends_the_session(people: People, anyone: Caller) -> None:
    """A refresh token works once; its second use is refused, and so is then the one it was changed for."""
    person = people.citizen()
    newer = _refresh(anyone, person.refresh_token)
    for token in (person.refresh_token, newer):
        problem_of(anyone.send("POST", "/auth/refresh", json={"refresh_token": token}), 401)


def test_logout_ends_the_session(people: People, anyone: Caller) -> None:
    """After a logout the refresh token is refused."""
    person = people.citizen()
    session = {"refresh_token": person.refresh_token}
    anyone.expect(204, "POST", "/auth/logout", json=session)
    problem_of(anyone.send("POST", "/auth/refresh", json=session), 401)


def test_wrong_password_is_refused(people: People, anyone: Caller) -> None:
    """The right password opens an account, another one and an unknown address do not, in the same words."""
    person = people.citizen()
    assert anyone.expect(200, "POST", "/auth/login", json=person.credentials)["user_id"] == person.id
    details = {
        problem_of(anyone.send("POST", "/auth/login", json=person.credentials | wrong), 401)["detail"]
        for wrong in ({"password": "another-password"}, {"email": "nobody@example.com"})
    }
    assert len(details) == 1, f"the answers tell a wrong password from an unknown address: {details}"


def test_address_is_taken_once(people: People, anyone: Caller) -> None:
    """A second account with the same address is refused within the tenant."""
    problem_of(anyone.send("POST", "/auth/register", json=people.citizen().credentials), 409)


def test_unknown_tenant_takes_nobody(people: People, anyone: Caller) -> None:
    """Nobody signs up at a tenant that is not there."""
    stray = people.citizen().credentials | {"tenant": "acceptance-never-made"}
    problem_of(anyone.send("POST", "/auth/register", json=stray), 404)
