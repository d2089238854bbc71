"""The paired span: the same judgement without the fault stands beside, and takes back a false finding."""

from __future__ import annotations

import pytest
from made_evidence import NEW, T0, expected, probed, series, timeline

from slas.judge import judge
from slas.verdicts import Outcome, Verdict

PAIRED = {"start_s": T0, "end_s": T0 + 4.0}


def judged(*outages: tuple[float, float], sla: str = "downtime") -> Verdict:
    """Return the verdict on seconds 5 to 10, paired with the first four."""
    details = {"series": [NEW], "source": "probes", "paired": PAIRED}
    asked = expected(sla, allowed=1 if sla == "steady_state" else 0.2, details=details, phase="during")
    asked["start_s"] = T0 + 5
    (verdict,) = judge(timeline({NEW: series(outages)}, *probed(NEW), asked))
    return verdict


def test_what_was_measured_without_the_fault_stands_beside_it() -> None:
    """A quiet span before leaves the finding what it is."""
    verdict = judged((6.0, 7.0))
    assert verdict.verdict is Outcome.FAIL
    assert verdict.evidence["without_fault"]["verdict"] == "PASS"
    assert verdict.evidence["without_fault"]["measured"] == {"lower": 0.0, "upper": 0.0}


@pytest.mark.parametrize("sla", ["downtime", "steady_state"])
def test_a_finding_that_comes_without_the_fault_too_is_none_about_the_fault(sla: str) -> None:
    """Noise that breaks the bound by itself hides the fault's effect."""
    verdict = judged((1.0, 2.0), (6.0, 7.0), sla=sla)
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert "without the fault too" in str(verdict.cause)


def test_noise_without_the_fault_takes_back_no_pass() -> None:
    """With the fault the bound held; that it did not before is shown."""
    verdict = judged((1.0, 2.0))
    assert verdict.verdict is Outcome.PASS
    assert verdict.evidence["without_fault"]["verdict"] == "FAIL"


def test_a_span_that_was_not_watched_says_so() -> None:
    """The finding stays, and beside it why nothing can be said."""
    details = {"series": [NEW], "paired": {"start_s": T0 - 100, "end_s": T0 - 90}}
    asked = expected("downtime", allowed=0.2, details=details)
    (verdict,) = judge(timeline({NEW: series([(6.0, 7.0)])}, *probed(NEW), asked))
    assert verdict.verdict is Outcome.FAIL
    assert verdict.evidence["without_fault"]["verdict"] == "INCONCLUSIVE"
