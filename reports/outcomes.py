"""How a verdict ends its test: FAIL as a failed assertion, INCONCLUSIVE as an error of its own.

Both are failed tests in pytest; allure-pytest maps the first to the status failed, the second to broken.
"""

from __future__ import annotations

from core.errors import InconclusiveError
from reports.measures import sentence
from slas.verdicts import Outcome, Verdict


class SlaFailed(AssertionError):  # noqa: N818 - pytest and Allure treat it as a failed assertion, not as an error
    """The SLA was measured and is broken."""


def raise_for(verdict: Verdict) -> None:
    """Return on PASS; raise SlaFailed on FAIL and InconclusiveError on INCONCLUSIVE."""
    if verdict.verdict is Outcome.FAIL:
        raise SlaFailed(sentence(verdict))
    if verdict.verdict is not Outcome.PASS:
        raise InconclusiveError(sentence(verdict))
