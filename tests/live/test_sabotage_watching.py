"""What watches, loads and disturbs is broken on purpose: the run then knows that it cannot know."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sabotage import REHEARSE, Copy, LabInUse, Run

from core.files import read_lines
from core.processes import ProcessId
from core.waiting import wait_until


@pytest.fixture
def copy(tmp_path: Path, test_lab: LabInUse) -> Copy:
    """Return a copy of the checkout, to sabotage."""
    return Copy.make(tmp_path / "copy", test_lab.name)


def test_probes_that_point_at_nothing_prove_nothing(copy: Copy) -> None:
    """Without a steady state seen, nothing is released and every verdict is INCONCLUSIVE."""
    copy.setting("scenarios", ready_timeout_s=15)
    copy.edit(
        "fixtures/scenario.py", "url=environment.watched_url(service)", 'url="http://127.0.0.1:9/health"'
    )
    ended = copy.run(*REHEARSE, "-k", "good_release")
    assert ended.status == 3, ended.output
    assert ended.outcomes("good-release") == dict.fromkeys(
        ("deploy_time", "downtime", "error_ratio", "latency_p95"), "INCONCLUSIVE"
    )
    assert "no steady state before the scenario" in ended.verdicts("good-release")["downtime"]["cause"]
    assert [event["action"] for event in ended.run.of_kind("release.started")] == ["install"]


@pytest.mark.long
def test_a_selector_without_pods_and_a_killed_load_prove_nothing(copy: Copy) -> None:
    """No pod is touched where none is meant, and requests that were never sent are no success."""
    copy.setting("releases.auth-service", selector="app.kubernetes.io/name=nobody")
    copy.setting("scenarios", steady_s=6)
    with copy.start(*REHEARSE, "-k", "pod-delete or steady") as command:
        run = command.wait_in_scenario("steady-state", "calibration.result")
        calibrated_s = run.of_kind("calibration.result")[-1]["t"]
        wait_until(
            "the load within the judged span",
            lambda: sum(second["t"] > calibrated_s for second in run.of_kind("load.second")) >= 4,
            30,
        )
        load_generator(run).signal(signal.SIGKILL)
        ended = command.end(120)
    assert ended.status == 3, ended.output

    assert ended.outcomes("pod-delete") == dict.fromkeys(
        ("recovery_time", "downtime", "error_ratio", "invariant"), "INCONCLUSIVE"
    )
    for verdict in ended.verdicts("pod-delete").values():
        assert "app.kubernetes.io/name=nobody" in verdict["cause"]
        assert "matches no pod" in verdict["cause"]
    assert run.of_kind("fault.selected", "fault.injected") == []
    pods = run.of_kind("k8s.pod")
    assert pods
    assert [pod for pod in pods if pod["type"] == "DELETED" or pod["deleting"] or pod["restarts"]] == []

    assert ended.outcomes("steady-state") == {
        "steady_state": "INCONCLUSIVE",
        "downtime": "PASS",
        "error_ratio": "INCONCLUSIVE",
        "latency_p95": "PASS",
    }
    assert "killed by signal 9" in ended.verdicts("steady-state")["error_ratio"]["cause"]


def load_generator(run: Run) -> ProcessId:
    """Return the load generator that runs now, by the ledger."""
    ledger = list(read_lines(run.path / "ledger.jsonl"))
    closed = {line["id"] for line in ledger if line.get("op") == "close"}
    (one,) = (line for line in ledger if line.get("what") == "load generator" and line["id"] not in closed)
    return ProcessId(pid=one["pid"], start_ticks=one["start_ticks"])
