"""Releases that are broken on purpose turn exactly the SLA red that they break."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from sabotage import REHEARSE, SUITES, Copy, LabInUse, Run

BROKEN = """
import os
import sys
from ecochain_kit.problems import Problem
from auth_service.server import main

def broken(app):
    async def answer(scope, receive, send):
        failing = os.environ["VERSION"] == "1.1.0" and scope["path"] != "/ready"
        await (Problem(500, "planted", "planted").response() if failing else app)(scope, receive, send)
    return answer

sys.exit(main(broken))
"""


@pytest.fixture
def copy(tmp_path: Path, test_lab: LabInUse) -> Copy:
    """Return a copy of the checkout, to sabotage."""
    return Copy.make(tmp_path / "copy", test_lab.name)


def failed_tests(run: Run) -> set[str]:
    """Return the names of the tests that failed, as junit.xml has them."""
    cases = ET.parse(run.path / "junit.xml").getroot().iter("testcase")
    return {str(case.get("name")) for case in cases if case.find("failure") is not None}


def test_a_release_without_its_prestop_hook_costs_downtime(copy: Copy) -> None:
    """Pods that stop before their endpoints are gone refuse requests; -x then stops, and --lf knows why."""
    copy.edit("helm/values/lab/auth-service.yaml", "  seconds: 4", "  seconds: 0")
    ended = copy.run(*SUITES, "-k", "good_release", "-x")
    assert ended.status == 1, ended.output
    downtime = ended.verdicts("good-release")["downtime"]
    assert downtime["verdict"] == "FAIL"
    assert 0 <= downtime["measured"]["lower"] <= downtime["measured"]["upper"]
    assert downtime["measured"]["upper"] > 0
    assert "endpoint removed after SIGTERM" in downtime["cause"]
    assert ended.outcomes("good-release")["deploy_time"] == "PASS"
    assert failed_tests(ended.run) == {"test_good_release_is_not_noticed[downtime]"}
    assert "1 failed, 1 passed" in ended.output

    listed = copy.run(*SUITES, "--lf", "--collect-only", "-q")
    assert listed.status == 0, listed.output
    chosen = [line.partition("::")[2] for line in listed.output.splitlines() if "::" in line]
    assert chosen == ["test_good_release_is_not_noticed[downtime]"]
    assert listed.run.path == ended.run.path, "listing tests made a run"


@pytest.mark.long
def test_a_slow_release_and_one_that_stays_broken_turn_red(copy: Copy) -> None:
    """Slow pods break the deploy time alone; without Helm's rollback the bad release stays, unnoticed."""
    copy.setting(
        "releases.auth-service",
        rollback_on_failure=False,
        rollback_timeout_s=3,
        upgrade_values={"probes": {"readiness": {"initialDelaySeconds": 9}}},
    )
    ended = copy.run(*REHEARSE, "-k", "release")
    assert ended.status == 1, ended.output
    assert ended.outcomes("good-release") == {
        "deploy_time": "FAIL",
        "downtime": "PASS",
        "error_ratio": "PASS",
        "latency_p95": "PASS",
    }
    slow = ended.verdicts("good-release")["deploy_time"]
    assert slow["measured"] > slow["allowed"] == 15
    assert ended.outcomes("failed-release") == {
        "rollback": "FAIL",
        "rollback_time": "FAIL",
        "downtime": "PASS",
        "error_ratio": "PASS",
    }
    assert "the manifests" in ended.verdicts("failed-release")["rollback"]["cause"]


@pytest.mark.long
def test_a_release_that_answers_500_and_ignores_terraform_turns_red(copy: Copy) -> None:
    """Ready pods that answer 500 are an application error; pods without the outputs fail their test."""
    package = copy.folder / "services/auth-service/src/auth_service"
    (package / "__main__.py").write_text(BROKEN)
    # Outputs as Terraform would give them, without the minute that Terraform takes.
    copy.edit("fixtures/making.py", "            outputs={},", '            outputs={"AWS_REGION": "x"},')
    copy.edit("fixtures/releasing.py", "dict(environment.outputs)", "{}")
    ended = copy.run(*REHEARSE, "-k", "good_release or outputs")
    assert ended.status == 1, ended.output
    assert ended.outcomes("good-release") == {
        "deploy_time": "PASS",
        "downtime": "FAIL",
        "error_ratio": "FAIL",
        "latency_p95": "FAIL",
    }
    downtime = ended.verdicts("good-release")["downtime"]
    assert 1 < downtime["measured"]["lower"] <= downtime["measured"]["upper"]
    assert "application error" in downtime["cause"]
    assert failed_tests(ended.run) == {
        "test_good_release_is_not_noticed[downtime]",
        "test_good_release_is_not_noticed[error_ratio]",
        "test_good_release_is_not_noticed[latency_p95]",
        "test_terraform_outputs_reach_every_pod",
    }
