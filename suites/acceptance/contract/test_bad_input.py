"""Bad input of every kind has a problem document for an answer, and is never a server error."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from fixtures.acceptance.client import Caller, UnexpectedAnswerError
from fixtures.acceptance.contracts import (
    JSON_LIMIT_BYTES,
    OPERATIONS,
    PICTURE_LIMIT_BYTES,
    Operation,
    bare,
)
from fixtures.acceptance.people import People
from fixtures.acceptance.problems import problem_of
from fixtures.acceptance.scenes import Ready, Scenes

WITH_JSON = [o for o in OPERATIONS if o.body is not None]
WITH_SUBJECT = [o for o in OPERATIONS if "{" in o.path]
_METHODS = ("DELETE", "PATCH", "PUT", "POST", "GET")
_JSON = {"content-type": "application/json"}


def _send(ready: Ready, **request: Any) -> httpx.Response:
    headers = ready.request.get("headers", {}) | request.pop("headers", {})
    return ready.asker.send(ready.method, ready.path, headers=headers, **request)


@pytest.mark.parametrize("operation", WITH_JSON, ids=lambda o: o.key)
def test_malformed_json_is_refused(scenes: Scenes, operation: Operation) -> None:
    """Half a JSON text is a bad request."""
    problem_of(_send(scenes.ready(operation), content=b'{"half": ', headers=_JSON), 400)


@pytest.mark.parametrize("operation", WITH_JSON, ids=lambda o: o.key)
def test_wrong_types_are_refused_by_field(scenes: Scenes, operation: Operation) -> None:
    """A field of another type is refused, and named."""
    ready = scenes.ready(operation)
    for name in ready.request["json"]:
        body = ready.request["json"] | {name: {"of another": "type"}}
        problem = problem_of(_send(ready, json=body), 422)
        named = [error["field"] for error in problem["errors"]]
        assert any(name in field.split(".") for field in named), f"{name} is not named: {problem}"
    for body in (b"[]", b'"text"', b"null", b"7"):
        problem_of(_send(ready, content=body, headers=_JSON), 422)


@pytest.mark.parametrize("operation", WITH_JSON, ids=lambda o: o.key)
def test_huge_json_is_refused(scenes: Scenes, operation: Operation) -> None:
    """A body beyond the limit is refused as such."""
    limit = PICTURE_LIMIT_BYTES if operation.service == "vision-service" else JSON_LIMIT_BYTES
    content = b'{"filling": "' + b"x" * limit + b'"}'
    problem_of(_send(scenes.ready(operation), content=content, headers=_JSON), 413)


@pytest.mark.parametrize("operation", WITH_SUBJECT, ids=lambda o: o.key)
def test_unknown_id_is_not_found(scenes: Scenes, operation: Operation) -> None:
    """What is not there is not found; what can be no id is not found either, or refused as a wrong value."""
    ready = scenes.ready(operation)
    # Only an admin may ask for other people's profiles, known or not.
    asker = scenes.tenant.admin if operation.service == "user-service" else ready.asker
    for unknown in (str(uuid.uuid4()), uuid.uuid4().hex, "0" * 24, "no-such-thing"):
        problem_of(asker.send(ready.method, operation.at(unknown), **ready.request), 404)
    for impossible in ("%24ne", "%7B%22a%22:1%7D", "x" * 300):
        problem_of(asker.send(ready.method, operation.at(impossible), **ready.request), 404, 422)


@pytest.mark.readonly
@pytest.mark.parametrize("path", sorted({o.path for o in OPERATIONS}))
def test_wrong_method_is_refused(anyone: Caller, path: str) -> None:
    """A method that a path does not have is refused, and the answer says which it has."""
    alike = [o for o in OPERATIONS if _alike(o.path, path)]
    wrong = next(m for m in _METHODS if m not in {o.method for o in alike})
    answer = anyone.send(wrong, path.replace("{", "").replace("}", ""))
    problem_of(answer, 405)
    allowed = {m.strip() for m in answer.headers.get("allow", "").split(",")}
    assert {o.method for o in OPERATIONS if bare(o.path) == bare(path)} <= allowed, f"Allow: {allowed}"


def _alike(one: str, other: str) -> bool:
    parts = list(zip(one.split("/"), other.split("/"), strict=False))
    return one.count("/") == other.count("/") and all(
        a == b or a.startswith("{") or b.startswith("{") for a, b in parts
    )


@pytest.mark.readonly
@pytest.mark.parametrize(
    "path",
    [
        "/nothing-here",
        "/auth/nothing",
        "/users/a/b",
        "/pickups/a/b/c",
        "/vision/x",
        "/listings/a/b",
        "/orders/a/b/c",
    ],
)
def test_unknown_path_is_not_found(anyone: Caller, path: str) -> None:
    """A path that nobody serves is not found."""
    problem_of(anyone.send("GET", path), 404)


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"not a picture", "image/png", 422),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "image/png", 422),
        (b"", "image/png", 422),
        (b"GIF89a", "image/gif", 415),
        (b"{}", "application/json", 415),
        (b"\0" * (PICTURE_LIMIT_BYTES + 1), "image/png", 413),
    ],
    ids=["text", "torn PNG", "empty", "GIF", "JSON", "huge"],
)
def test_what_is_no_picture_is_refused(people: People, content: bytes, media_type: str, status: int) -> None:
    """What cannot be classified is refused by what is wrong with it."""
    headers = {"content-type": media_type}
    citizen = people.citizen()
    problem_of(citizen.send("POST", "/vision/classifications", content=content, headers=headers), status)


def test_undecodable_picture_of_a_batch_fails_alone(scenes: Scenes) -> None:
    """In a batch the picture that cannot be read has a problem, and the others their labels."""
    batch = next(o for o in OPERATIONS if o.path == "/vision/batches")
    answer = scenes.ready(batch).send()
    if answer.status_code != 200:
        raise UnexpectedAnswerError(answer, "200")
    first, second = answer.json()["results"]
    assert first["label"] == "glass"
    assert second["problem"]
    assert second.get("label") is None


@pytest.mark.parametrize("value", ["0", "-1", "many", "100000"])
def test_impossible_page_is_refused(people: People, value: str) -> None:
    """A page of no or too many entries is refused."""
    citizen = people.citizen()
    for path in ("/listings", "/orders", "/pickups"):
        problem_of(citizen.send("GET", path, params={"limit": value}), 422)


def test_order_without_a_key_is_refused(scenes: Scenes) -> None:
    """An order without Idempotency-Key is a bad request, and orders nothing."""
    listing = scenes.listing(stock=1)
    order = {"listing_id": listing["id"], "quantity": 1}
    problem_of(scenes.buyer.send("POST", "/orders", json=order), 400)
    assert scenes.owner.expect(200, "GET", f"/listings/{listing['id']}")["stock"] == 1
