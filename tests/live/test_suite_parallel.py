"""The whole suite under pytest-xdist, with an environment whose Terraform says something new."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from sabotage import SUITES, Copy, LabInUse, Run

from slas.timeline import Timeline

SCENARIOS = {"pod-delete", "pod-kill", "good-release", "failed-release", "steady-state"}
REGION = "mars-north-1"
SERIES = {f"auth-service/{kind}{vantage}" for kind in ("new", "reused") for vantage in ("", "@cluster")}


@pytest.fixture
def copy(tmp_path: Path, test_lab: LabInUse) -> Copy:
    """Return a copy of the checkout whose Terraform gives the services another region."""
    copy = Copy.make(tmp_path / "copy", test_lab.name)
    copy.setting("environment", provision="lab")
    outputs = "terraform/modules/platform/outputs.tf"
    copy.edit(outputs, "AWS_REGION     = var.region", f'AWS_REGION = "{REGION}"')
    return copy


def variables_of_pods(run: Run) -> dict[str, dict[str, str]]:
    """Return the variables of each pod that the suite attached to its report."""
    for file in (run.path / "allure-results").glob("*-result.json"):
        for attached in json.loads(file.read_text()).get("attachments", ()):
            if attached["name"] == "auth-service: variables":
                pods: dict[str, dict[str, str]] = json.loads((file.parent / attached["source"]).read_text())
                return pods
    raise AssertionError("no variables of pods in the report")


@pytest.mark.long
def test_four_workers_share_one_environment(copy: Copy) -> None:
    """Each scenario runs once and alone, all pass, and a changed output changes what the pods get."""
    ended = copy.run(*SUITES, "-n", "4", timeout_s=400)
    assert ended.status == 0, ended.output
    assert "23 passed" in ended.output
    run = ended.run
    assert len(run.of_kind("environment.ready")) == 1
    for kind in ("scenario.started", "scenario.ended"):
        assert Counter(event["scenario"] for event in run.of_kind(kind)) == dict.fromkeys(SCENARIOS, 1)
    for scenario in SCENARIOS:
        assert set(ended.outcomes(scenario).values()) == {"PASS"}
    spans: dict[str, tuple[float, float]] = {}
    for event in run.of_kind("expectation"):
        start_s, end_s = spans.get(event["scenario"], (event["start_s"], event["end_s"]))
        spans[event["scenario"]] = (min(start_s, event["start_s"]), max(end_s, event["end_s"]))
    for earlier, later in pairwise(sorted(spans.values())):
        assert earlier[1] <= later[0], "two scenarios at once"
    assert {pod["AWS_REGION"] for pod in variables_of_pods(run).values()} == {REGION}
    assert "smallest outage that is seen for certain" in ended.output
    assert_seen_from_both_vantages(Timeline.load(run.path))


def assert_seen_from_both_vantages(timeline: Timeline) -> None:
    """Each series is proved by the harness's own target along the same kind of path, on one clock."""
    assert set(timeline.samples) >= SERIES
    proofs = list(timeline.of_kind("calibration.result"))
    assert {(proof["series"], proof["by"]) for proof in proofs} == {
        (name, name.replace("auth-service", "calibration")) for name in SERIES
    }
    assert all(proof["found"] and proof["resolution_s"] <= 0.1 for proof in proofs), proofs
    urls = {event["series"]: event["url"] for event in timeline.of_kind("probe.started")}
    assert ".svc" in urls["calibration/new@cluster"]
    assert ".svc" in urls["auth-service/new@cluster"]
    clocks = list(timeline.of_kind("probe.clock", vantage="cluster"))
    # One kernel, one clock: whatever offset is found here is error, and the bound must cover it.
    assert clocks
    assert all(abs(event["offset_s"]) <= event["bound_s"] < 0.5 for event in clocks), clocks
