"""What a client of the platform does, and what every error looks like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

PASSWORD = "correct horse battery"


@dataclass(kw_only=True)
class Front:
    """A client of one address, with a tenant of its own, made at its first use."""

    client: httpx.Client
    tag: str

    @cached_property
    def admin(self) -> dict[str, Any]:
        """Return the grant of the tenant's administrator."""
        body = {"name": self.tag, "email": f"admin-{self.tag}@example.org", "password": PASSWORD}
        return granted(self.client.post("/auth/tenants", json=body))

    def person(self, name: str = "ada", role: str = "citizen") -> dict[str, Any]:
        """Register a user of the tenant; return the grant."""
        body = {"email": f"{name}@example.org", "password": PASSWORD, "role": role}
        return granted(self.client.post("/auth/register", json={**body, "tenant": self.admin["tenant"]}))

    def ask(self, method: str, path: str, who: dict[str, Any] | None = None, **what: Any) -> httpx.Response:
        """Send a request with a person's token."""
        headers = {"authorization": f"Bearer {who['token']}"} if who else {}
        return self.client.request(method, path, headers={**headers, **what.pop("headers", {})}, **what)


def granted(answer: httpx.Response) -> dict[str, Any]:
    """Return the grant of an answer that is 200 or 201."""
    assert answer.status_code in {200, 201}, answer.text
    return dict(answer.json())


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Assert that an answer is a problem document of that status; return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = dict(answer.json())
    assert document["status"] == status
    assert {"type", "title", "detail"} <= document.keys()
    assert {"x-version", "x-pod-name"} <= set(answer.headers)
    assert document["request_id"] == answer.headers["x-request-id"]
    return document
