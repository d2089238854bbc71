"""With nothing done to it, the service serves under load."""

import pytest

from fixtures.plugin import JudgedVerdict
from fixtures.scenarios.steady_state import SteadyState


@pytest.mark.quick
@pytest.mark.parametrize("sla", SteadyState.slas)
def test_steady_state_under_load(verdict_of: JudgedVerdict, sla: str) -> None:
    """Nothing fails and answers are quick while nothing is done."""
    verdict_of(SteadyState(), sla)
