"""Every operation of every document: it exists, nothing else does, and its answer is the one it promises."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis

from fixtures.acceptance.client import UnexpectedAnswerError
from fixtures.acceptance.contracts import OPERATIONS, SERVICES, Documents, Operation, bare, operations_of
from fixtures.acceptance.scenes import Ready, Scenes
from fixtures.acceptance.tenant import Tenant


def conforms(document: dict[str, Any], operation: Operation, response: httpx.Response) -> None:
    """Check an answer against the document's schema, status, media type and headers of the operation."""
    schema = schemathesis.openapi.from_dict(document)
    path = next(path for path in document["paths"] if bare(path) == bare(operation.path))
    schema[path][operation.method].validate_response(response)


@pytest.mark.smoke
@pytest.mark.readonly
@pytest.mark.parametrize("described", SERVICES)
def test_document_has_the_exercised_operations(documents: Documents, described: str) -> None:
    """A document promises what this suite exercises, no more and no less, and says which take a token."""
    exercised = {o.key: o.protected for o in OPERATIONS if o.service == described}
    assert operations_of(described, documents[described]) == exercised


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.key)
def test_success_is_as_documented(
    documents: Documents, scenes: Scenes, operation: Operation, request: pytest.FixtureRequest
) -> None:
    """A good request has the status, the schema and the headers of the contract."""
    if operation.who == "admin":
        scenes = Scenes(request.getfixturevalue("throwaway_tenant"))
    ready = scenes.ready(operation)
    response = ready.send()
    if response.status_code == operation.status:
        _account_for(operation, scenes.tenant, ready, response)
    if response.status_code != operation.status:
        raise UnexpectedAnswerError(response, str(operation.status))
    conforms(documents[operation.service], operation, response)
    missing = {"x-version", "x-pod-name", "x-request-id"} - set(response.headers)
    assert not missing, f"headers {sorted(missing)} are missing"


def _account_for(operation: Operation, tenant: Tenant, ready: Ready, response: httpx.Response) -> None:
    """Take note of what the operation made or removed beside the tenant's own things."""
    match operation.key:
        case "POST /auth/tenants":
            Tenant.of(ready.asker, ready.request["json"], response.json()).remove()
        case "POST /auth/register":
            tenant.people.made += 1
        case "DELETE /auth/tenant":
            tenant.gone = True


def test_tenant_is_removed_whole(throwaway_tenant: Tenant) -> None:
    """Each service removes all that a tenant holds, says how much that was, and nobody gets in any more."""
    scenes = Scenes(throwaway_tenant)
    scenes.order(scenes.listing())
    scenes.pickup()
    removed = throwaway_tenant.remove()
    throwaway_tenant.gone = True
    assert removed["/pickups/tenant"]["pickups"] == 1
    assert (removed["/listings/tenant"]["listings"], removed["/listings/tenant"]["orders"]) == (1, 1)
    assert removed["/users/tenant"]["profiles"] == 1
