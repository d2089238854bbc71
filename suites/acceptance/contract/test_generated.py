"""Input that nobody thought of, generated from the documents, the same in every run."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fixtures.acceptance.client import Caller, UnexpectedAnswerError
from fixtures.acceptance.contracts import OPERATIONS, Documents, Operation, bare
from fixtures.acceptance.problems import problem_of
from fixtures.acceptance.scenes import Scenes

_EXAMPLES = 12
_MODES = schemathesis.GenerationMode
# A tenant made by accident would stay; to remove one takes no input.
GENERATED = [o for o in OPERATIONS if o.key != "POST /auth/tenants" and o.who != "admin"]


def _sent(case: schemathesis.Case[Any], asker: Caller) -> Any:
    """Return the answer to a generated request, sent over the suite's own connections."""
    given = case.as_transport_kwargs(base_url=str(asker.http.base_url))
    headers = {k: v for k, v in dict(given["headers"]).items() if k.lower() != "authorization"}
    if "data" in given:
        given["content"] = given.pop("data")
    method, url = given.pop("method"), given.pop("url")
    request = {k: v for k, v in given.items() if k in {"json", "content", "params"}}
    return asker.send(method, url, headers=headers, **request)


@pytest.mark.parametrize("operation", GENERATED, ids=lambda o: o.key)
def test_generated_input_is_answered_as_documented(
    documents: Documents, scenes: Scenes, operation: Operation
) -> None:
    """Fitting and unfitting input gets a documented answer or a problem document, never a server error."""
    document = documents[operation.service]
    path = next(path for path in document["paths"] if bare(path) == bare(operation.path))
    documented = schemathesis.openapi.from_dict(document)[path][operation.method]
    asker = scenes.ready(operation).asker

    @settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=_EXAMPLES,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(*(documented.as_strategy(generation_mode=mode) for mode in _MODES)))
    def answered(case: schemathesis.Case[Any]) -> None:
        if operation.path == "/auth/register" and isinstance(case.body, dict):
            case.body["tenant"] = scenes.tenant.name  # whoever is made by accident goes with the tenant
        response = _sent(case, asker)
        if operation.path == "/auth/register" and response.status_code == 201:
            scenes.tenant.people.made += 1
        if response.status_code >= 500 or 300 <= response.status_code < 400:
            raise UnexpectedAnswerError(response, "2xx or 4xx")
        if response.status_code >= 400:
            problem_of(response, response.status_code)
        documented.validate_response(response)

    answered()
