"""The document's health check, done right: JSON is parsed, and status, version and headers are read."""

from __future__ import annotations

import pytest

from fixtures.acceptance.client import Caller, UnexpectedAnswerError

pytestmark = [pytest.mark.smoke, pytest.mark.readonly]


def test_front_door_is_healthy(anyone: Caller) -> None:
    """/health says ok in JSON, with the version that the header and /info say too."""
    answer = anyone.send("GET", "/health")
    if answer.status_code != 200 or answer.headers.get("content-type") != "application/json":
        raise UnexpectedAnswerError(answer, "200 with application/json")
    health = answer.json()
    assert health["status"] == "ok"
    assert health["version"], "the version is empty"
    assert answer.headers["x-version"] == health["version"]
    assert anyone.expect(200, "GET", "/info")["version"] == health["version"]


def test_front_door_is_ready(anyone: Caller) -> None:
    """/ready says that all the front door depends on is there, none of it degraded."""
    ready = anyone.expect(200, "GET", "/ready")
    assert "degraded" not in str(ready), f"a dependency is degraded: {ready}"


def test_request_id_comes_back(anyone: Caller) -> None:
    """The request id that a caller sends is the answer's; without one the answers have one each."""
    sent = anyone.send("GET", "/auth/keys", headers={"x-request-id": "acceptance-0123456789"})
    assert sent.headers["x-request-id"] == "acceptance-0123456789"
    given = {anyone.send("GET", "/auth/keys").headers["x-request-id"] for _ in range(2)}
    assert len(given) == 2
