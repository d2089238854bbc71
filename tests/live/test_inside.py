"""The harness's pods in a real cluster: they see the product, prove it, and are missed when gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from sabotage import REHEARSE, Copy, LabInUse

from clients.kubernetes import Cluster
from core.waiting import wait_until

WITHIN = {"auth-service/new@cluster", "auth-service/reused@cluster"}
WITHOUT = {"auth-service/new", "auth-service/reused"}


@pytest.fixture
def copy(tmp_path: Path, test_lab: LabInUse) -> Copy:
    """Return a copy of the checkout, to sabotage."""
    made = Copy.make(tmp_path / "copy", test_lab.name)
    made.setting("scenarios", steady_s=8)
    return made


@pytest.mark.long
def test_a_calibration_that_is_no_outage_proves_nothing(copy: Copy) -> None:
    """The pod says that it was out and was not: what cannot be found proves no resolution."""
    copy.edit(
        "probes/inside_target.py",
        'self._target.outage(order["mode"], order["length_s"])',
        'self._target.outage("", order["length_s"])',
    )
    ended = copy.run(*REHEARSE, "-k", "steady")
    assert ended.status == 3, ended.output
    verdict = ended.verdicts("steady-state")["downtime"]
    assert verdict["verdict"] == "INCONCLUSIVE"
    for series in WITHIN | WITHOUT:
        assert f"the calibration of {series} failed" in verdict["cause"]


@pytest.mark.long
def test_what_the_lost_pod_would_have_seen_is_not_known(copy: Copy, test_lab: LabInUse) -> None:
    """The pod that looks from inside is killed in the judged span: no PASS on what rests on it."""
    copy.setting("scenarios", steady_s=12)
    with copy.start(*REHEARSE, "-k", "steady") as command:
        run = command.wait_in_scenario("steady-state", "calibration.result")
        calibrated_s = run.of_kind("calibration.result")[-1]["t"]
        wait_until(
            "the load within the judged span",
            lambda: sum(second["t"] > calibrated_s for second in run.of_kind("load.second")) >= 5,
            30,
        )
        Cluster(test_lab.kubeconfig).delete("pods", "verify-agent", "ecochain", grace_s=0)
        ended = command.end(150)
    assert ended.status == 3, ended.output
    verdict = ended.verdicts("steady-state")["downtime"]
    assert verdict["verdict"] == "INCONCLUSIVE"
    assert any(series in verdict["cause"] for series in WITHIN), verdict["cause"]
    assert not any(f"{series} has" in verdict["cause"] for series in WITHOUT), verdict["cause"]
    assert run.of_kind("probe.lost")
