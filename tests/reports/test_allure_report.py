"""Allure: one labelled case per SLA, INCONCLUSIVE is broken, and the report is whole and silent."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.places import checkout
from reports.allure import prepare_results
from reports.html import build_report
from reports.runs import Run, RunStore

CASES = """
import os
from pathlib import Path
import pytest
from reports.allure import assert_verdict
from reports.runs import Run
from slas.verdicts import Bracket, Outcome, Verdict

RUN = Run.open(Path(os.environ["RUN"]))
LOWER = float(os.environ["LOWER"])

def verdict(sla, outcome, measured, cause=None):
    return Verdict(sla=sla, subject="auth-service", scenario="pod-kill", verdict=outcome, measured=measured,
                   allowed=2.0, unit="s", resolution_s=0.02, cause=cause, samples=4200,
                   evidence={"proof": "uid"})

VERDICTS = {
    "recovery_time": verdict("recovery_time", Outcome.PASS, Bracket(lower=LOWER, upper=LOWER + 0.1)),
    "downtime": verdict("downtime", Outcome.FAIL, Bracket(lower=3.0, upper=3.1), "auth-1 was killed"),
    "deploy_time": verdict("deploy_time", Outcome.INCONCLUSIVE, None, "no samples"),
}

@pytest.mark.parametrize("sla", VERDICTS)
def test_sla(sla):
    assert_verdict(VERDICTS[sla], RUN, picture='<svg xmlns="http://www.w3.org/2000/svg"/>')
"""


def judge(run: Run, tmp_path: Path, *options: str, lower: float = 1.0) -> subprocess.CompletedProcess[str]:
    """Run the three cases in a pytest of its own."""
    (tmp_path / "test_cases.py").write_text(CASES)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_cases.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(checkout()),
            "RUN": str(run.path),
            "LOWER": str(lower),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def judge_with_allure(run: Run, tmp_path: Path, lower: float = 1.0) -> dict[str, dict[str, Any]]:
    """Return the results by SLA."""
    judge(run, tmp_path, "-p", "allure_pytest.plugin", f"--alluredir={run.allure_results}", lower=lower)
    prepare_results(run.allure_results, run.info())
    results = [json.loads(file.read_text()) for file in run.allure_results.glob("*-result.json")]
    return {labels(result)["story"]: result for result in results}


def labels(result: dict[str, Any]) -> dict[str, str]:
    return {label["name"]: label["value"] for label in result["labels"]}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return RunStore(tmp_path / "runs").create("lab", ["--env=lab"], 7)


def test_fail_is_failed_and_inconclusive_is_broken(run: Run, tmp_path: Path) -> None:
    """The statuses are passed, failed and broken, and each of the latter falls into its category."""
    results = judge_with_allure(run, tmp_path)
    assert {sla: result["status"] for sla, result in results.items()} == {
        "recovery_time": "passed",
        "downtime": "failed",
        "deploy_time": "broken",
    }
    found = {}
    for sla, result in results.items():
        for category in json.loads((run.allure_results / "categories.json").read_text()):
            message = result.get("statusDetails", {}).get("message", "")
            if result["status"] in category["matchedStatuses"] and re.fullmatch(
                category["messageRegex"], message
            ):
                found.setdefault(sla, category["name"])
    assert found == {
        "downtime": "SLA broken",
        "deploy_time": "INCONCLUSIVE: the evidence allows no verdict",
    }


def test_a_case_tells_its_sla_with_steps_and_evidence(run: Run, tmp_path: Path) -> None:
    """Labels, parameters, steps and attachments carry the verdict; the step of the verdict itself fails."""
    case = judge_with_allure(run, tmp_path)["downtime"]
    assert case["name"] == "pod-kill: downtime of auth-service"
    assert (labels(case)["epic"], labels(case)["feature"]) == ("lab", "pod-kill")
    figures = {parameter["name"]: parameter["value"].strip("'") for parameter in case["parameters"]}
    assert figures["measured"] == "3\N{EN DASH}3.1 s"
    assert (figures["allowed"], figures["samples"], figures["resolution"]) == ("≤ 2 s", "4200", "20 ms")
    assert [(step["name"], step["status"]) for step in case["steps"]] == [
        ("Allowed: ≤ 2 s", "passed"),
        ("Measured: 3\N{EN DASH}3.1 s from 4200 samples", "passed"),
        ("Cause: auth-1 was killed", "passed"),
        ("Verdict: FAIL", "failed"),
    ]
    evidence, picture = case["steps"][1]["attachments"]
    assert json.loads((run.allure_results / evidence["source"]).read_text())["evidence"] == {"proof": "uid"}
    assert (run.allure_results / picture["source"]).read_text().startswith("<svg")


def test_other_figures_are_the_same_case_in_history(run: Run, tmp_path: Path) -> None:
    """What is measured differs from run to run and must not make a new test case; the SLAs stay apart."""
    first = {sla: case["historyId"] for sla, case in judge_with_allure(run, tmp_path).items()}
    again = RunStore(tmp_path / "runs").create("lab", [], 8)
    assert {sla: case["historyId"] for sla, case in judge_with_allure(again, tmp_path, 1.7).items()} == first
    assert len(set(first.values())) == 3


def test_without_allure_the_verdicts_still_end_the_tests(run: Run, tmp_path: Path) -> None:
    """No --alluredir, no Allure plugin: the same two cases fail with their sentences."""
    done = judge(run, tmp_path)
    assert done.returncode == 1
    assert "1 passed" in done.stdout
    assert "SlaFailed: FAIL downtime of auth-service in pod-kill" in done.stdout
    assert "InconclusiveError: INCONCLUSIVE deploy_time" in done.stdout


def test_results_name_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """environment.properties and executor.json hold the facts of the run and of its CI job."""
    info = run.info().model_copy(update={"images": {"auth": "sha256:ab"}})
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    prepare_results(run.allure_results, info)
    lines = (run.allure_results / "environment.properties").read_text().splitlines()
    assert {"environment=lab", f"run={run.id}", "seed=7", "image.auth=sha256:ab"} <= set(lines)
    executor = json.loads((run.allure_results / "executor.json").read_text())
    assert (executor["type"], executor["buildName"]) == ("local", run.id)
    for name, value in {"ACTIONS": "true", "SERVER_URL": "https://g", "REPOSITORY": "a/b"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.setenv("GITHUB_RUN_ID", "5")
    monkeypatch.setenv("GITHUB_RUN_NUMBER", "3")
    prepare_results(run.allure_results, info)
    executor = json.loads((run.allure_results / "executor.json").read_text())
    assert (executor["buildUrl"], executor["buildOrder"]) == ("https://g/a/b/actions/runs/5", 3)


def embedded(page: str, name: str) -> Any:
    """Return a JSON file from within a single-file report."""
    found = re.search(rf'd\("{re.escape(name)}","([^"]*)"', page)
    assert found, f"{name} is not in the report"
    return json.loads(base64.b64decode(found[1]))


def test_the_report_is_one_file_that_asks_nobody_and_keeps_its_history(run: Run, tmp_path: Path) -> None:
    """The HTML holds every case and its category, names no other host, and the next run knows this one.

    Without Node.js there is no report, and one line says so.
    """
    judge_with_allure(run, tmp_path)
    said: list[str] = []
    page_file = build_report(run, said.append)
    if shutil.which("node") is None or shutil.which("npm") is None:
        assert page_file is None
        assert "node and npm are not installed" in said[-1]
        return
    assert page_file == run.path / "allure-report" / "index.html", said
    page = page_file.read_text()
    counts = embedded(page, "widgets/statistic.json")
    assert counts == {"total": 3, "passed": 1, "failed": 1, "broken": 1, "new": 3}
    names = {node["name"] for node in embedded(page, "widgets/categories.json")["nodes"].values()}
    assert {"SLA broken", "INCONCLUSIVE: the evidence allows no verdict"} <= names
    assert set(re.findall(r"https?://[\w.-]+", page)) <= {"http://www.w3.org"}
    assert "gtag" not in page
    assert [path.name for path in run.path.glob(".allure-*")] == []

    history = run.path.parent / "history-lab.jsonl"
    assert len(history.read_text().splitlines()) == 1
    assert build_report(run, said.append) == page_file
    assert len(history.read_text().splitlines()) == 1, "a report built again counts once"
    with history.open("a") as torn:
        torn.write('{"uuid": "cut of')
    following = RunStore(run.path.parent).create("lab", [], 8)
    judge_with_allure(following, tmp_path)
    assert build_report(following, said.append) is not None, said
    records = [json.loads(line) for line in history.read_text().splitlines()]
    assert [record["name"].endswith(each.id) for record, each in zip(records, (run, following), strict=True)]
    assert {result["name"] for result in records[1]["testResults"].values()} == {
        f"pod-kill: {sla} of auth-service" for sla in ("downtime", "deploy_time", "recovery_time")
    }


def test_no_node_no_results_or_a_failing_npm_is_one_line_and_no_report(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the way of the report is said in one line, and nothing is left behind."""
    said: list[str] = []
    assert build_report(run, said.append, which=lambda _: None) is None
    assert build_report(run, said.append, which=lambda name: f"/nonexistent/{name}") is None
    (run.allure_results / "a-result.json").write_text("{}")
    monkeypatch.setenv("ECOCHAIN_VERIFY_CACHE", str(tmp_path / "cache"))
    failing = tmp_path / "npm"
    failing.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    failing.chmod(0o755)
    assert build_report(run, said.append, which=lambda _: str(failing)) is None
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    assert build_report(run, said.append, which=lambda _: str(slow), install_timeout_s=0.2) is None
    assert "node and npm are not installed" in said[0]
    assert "holds no results" in said[1]
    assert "ENOTFOUND" in said[3]
    assert "none within 0.2 s" in said[5]
    assert all("\n" not in line for line in said)
    assert list((tmp_path / "cache").iterdir()) == []
