"""Enrichment for allure-pytest: one test case per SLA, with its steps, figures and evidence.

Without `--alluredir` every call here does nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import allure

from core.files import write_atomic
from reports.measures import allowed, asked, measured, sentence
from reports.outcomes import raise_for
from reports.run_info import RunInfo
from reports.runs import Run
from slas.verdicts import Outcome, Verdict

# In the form that Allure 2 and 3 both read: a test belongs to the first category that fits.
CATEGORIES: tuple[Mapping[str, Any], ...] = (
    {
        "name": "INCONCLUSIVE: the evidence allows no verdict",
        "matchedStatuses": ["broken"],
        "messageRegex": "[\\s\\S]*InconclusiveError[\\s\\S]*",
    },
    {
        "name": "SLA broken",
        "matchedStatuses": ["failed"],
        "messageRegex": "[\\s\\S]*SlaFailed[\\s\\S]*",
    },
    {
        "name": "The environment could not be made or cleaned",
        "matchedStatuses": ["broken"],
        "messageRegex": "[\\s\\S]*(EnvironmentFailedError|CommandError|WaitTimeoutError)[\\s\\S]*",
    },
)


def prepare_results(folder: Path, info: RunInfo) -> None:
    """Write what describes the whole run into an allure-results folder: environment, executor, categories."""
    facts = {
        "environment": info.environment,
        "run": info.id,
        "commit": f"{info.commit}{' (changed)' if info.dirty else ''}",
        "seed": info.seed,
        "started": info.started,
        **{f"version.{name}": text for name, text in info.versions.items()},
        **{f"image.{name}": digest for name, digest in info.images.items()},
    }
    write_atomic(folder / "environment.properties", "".join(_property(key, facts[key]) for key in facts))
    write_atomic(folder / "categories.json", json.dumps(CATEGORIES, indent=2))
    write_atomic(folder / "executor.json", json.dumps(_executor(info, os.environ), indent=2))


def attach_plan(provisioned: Mapping[str, Any] | None) -> None:
    """Attach what Terraform said it would do, and how long each step took, to the running test or fixture."""
    if provisioned is None or not provisioned["plan"]:
        return
    attach: Any = allure.attach  # its functions carry no types
    attach.file(provisioned["plan"], name="Terraform plan", attachment_type=allure.attachment_type.TEXT)
    steps = "\n".join(f"{step:<10} {seconds:7.2f} s" for step, seconds in provisioned["seconds"].items())
    attach(steps, name="Terraform steps", attachment_type=allure.attachment_type.TEXT)


def record_verdict(verdict: Verdict, run: Run, *, picture: str | None = None) -> None:
    """Label the running test case with a verdict, and attach its steps and evidence.

    The labels are epic = environment, feature = scenario, story = SLA. `picture` is the SVG of the
    timeline. Only what identifies the case counts as its history; the figures are shown, not compared.
    """
    case: Any = allure.dynamic  # its functions carry no types
    case.title(f"{verdict.scenario}: {asked(verdict)} of {verdict.subject}")
    case.epic(run.info().environment)
    case.feature(verdict.scenario)
    case.story(verdict.sla)
    case.description(sentence(verdict))
    figures = {
        "measured": measured(verdict),
        "allowed": allowed(verdict),
        "samples": str(verdict.samples),
        "run": run.id,
    }
    if verdict.resolution_s is not None:
        figures["resolution"] = f"{verdict.resolution_s * 1000:.0f} ms"
    for name, value in figures.items():
        case.parameter(name, value, excluded=True)
    with allure.step(f"Allowed: {allowed(verdict)}"):
        pass
    with allure.step(f"Measured: {measured(verdict)} from {verdict.samples} samples"):
        _attach("verdict", json.dumps(verdict.as_json(), indent=2, ensure_ascii=False, default=str), "JSON")
        if picture is not None:
            _attach("timeline", picture, "SVG")
    if verdict.cause:
        with allure.step(f"Cause: {verdict.cause}"):
            pass


def assert_verdict(verdict: Verdict, run: Run, *, picture: str | None = None) -> None:
    """Record a verdict and end the test by it.

    Raises SlaFailed (Allure: failed) on FAIL and InconclusiveError (Allure: broken) on INCONCLUSIVE.
    """
    record_verdict(verdict, run, picture=picture)
    with allure.step(f"Verdict: {Outcome(verdict.verdict).value}"):
        raise_for(verdict)


def _attach(name: str, body: str, kind: str) -> None:
    allure.attach(body, name=name, attachment_type=getattr(allure.attachment_type, kind))


def _property(key: str, value: object) -> str:
    flat = str(value).replace("\\", "\\\\").replace("\n", " ")
    return f"{key.replace(' ', '_').replace('=', '_').replace(':', '_')}={flat}\n"


def _executor(info: RunInfo, environ: Mapping[str, str]) -> dict[str, object]:
    executor: dict[str, object] = {"name": "ecochain-verify", "type": "local", "buildName": info.id}
    if environ.get("GITHUB_ACTIONS") == "true":
        url = f"{environ['GITHUB_SERVER_URL']}/{environ['GITHUB_REPOSITORY']}"
        executor |= {
            "name": "GitHub Actions",
            "type": "github",
            "buildOrder": int(environ["GITHUB_RUN_NUMBER"]),
            "buildUrl": f"{url}/actions/runs/{environ['GITHUB_RUN_ID']}",
        }
    return executor
