"""No protected operation does anything for a token that is missing, foreign, changed or expired."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fixtures.acceptance import people_tokens
from fixtures.acceptance.client import Caller
from fixtures.acceptance.contracts import OPERATIONS, Operation
from fixtures.acceptance.people import People, Person
from fixtures.acceptance.pictures import picture_of
from fixtures.acceptance.problems import problem_of

PROTECTED = [o for o in OPERATIONS if o.protected]
every_operation = pytest.mark.parametrize("operation", PROTECTED, ids=lambda o: o.key)


def _refused(caller: Caller, operation: Operation) -> None:
    """Check that the operation is refused with 401 and says what it takes."""
    content = {"content": picture_of("glass")} if operation.picture else {}
    body = {"json": dict(operation.body)} if operation.body is not None else {}
    answer = caller.send(
        operation.method, operation.at("never-made"), headers=dict(operation.headers), **content, **body
    )
    problem_of(answer, 401)
    assert answer.headers.get("www-authenticate", "").startswith("Bearer"), "WWW-Authenticate names no scheme"


@every_operation
def test_no_token_is_refused(anyone: Caller, operation: Operation) -> None:
    """Without a token nothing is done."""
    _refused(anyone, operation)


@every_operation
def test_token_of_another_key_is_refused(good: Person, operation: Operation) -> None:
    """A token that somebody else signed is refused, though it names the right key."""
    _refused(good.bearing(people_tokens.signed_by_another_key(good.grant_token)), operation)


@every_operation
@pytest.mark.parametrize(
    "stripped",
    [people_tokens.unsigned, people_tokens.without_signature],
    ids=["algorithm none", "signature cut off"],
)
def test_unsigned_token_is_refused(
    good: Person, operation: Operation, stripped: Callable[[str], str]
) -> None:
    """A token without a signature is refused, whatever algorithm it claims."""
    _refused(good.bearing(stripped(good.grant_token)), operation)


@every_operation
def test_changed_token_is_refused(good: Person, operation: Operation) -> None:
    """Claims that were changed after the signature are refused."""
    _refused(good.bearing(people_tokens.promoted(good.grant_token)), operation)


@every_operation
def test_expired_token_is_refused(anyone: Caller, expired: str, operation: Operation) -> None:
    """A token of the right key whose time is over is refused."""
    _refused(anyone.bearing(expired), operation)


@pytest.mark.readonly
@pytest.mark.smoke
@pytest.mark.parametrize("operation", [o for o in PROTECTED if o.method == "GET"], ids=lambda o: o.key)
def test_nothing_is_shown_without_a_token(anyone: Caller, operation: Operation) -> None:
    """Whoever has no token, or something that is none, sees nothing."""
    for token in (None, "not.a.token", "x" * 4000):
        _refused(anyone.bearing(token), operation)


def test_good_token_is_taken_for_what_it_says(people: People) -> None:
    """A good token is verified as its owner's: identity, tenant, role and the time left."""
    collector = people.collector()
    said = collector.expect(200, "GET", "/auth/verify")
    expected = (collector.id, collector.email, collector.tenant, "collector")
    assert (said["user_id"], said["email"], said["tenant"], said["role"]) == expected
    assert said["expires_at"]
