"""`pytest suites/acceptance --url URL` verifies what is deployed already, and makes but a run's folder."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from workshop import Answer, Workshop

SUITE = "suites/acceptance"
TESTS = '''
import os
import pytest
from core.errors import InconclusiveError

@pytest.mark.readonly
def test_reads(pytestconfig):
    """It is told the front door."""
    assert pytestconfig.getoption("--url") == os.environ["DOOR"]

def test_writes():
    """It would change something."""

def test_breaks():
    """It fails if told so."""
    assert "BREAK" not in os.environ, "broken"

def test_knows():
    """It cannot know if told so."""
    if "DOUBT" in os.environ:
        raise InconclusiveError("nothing was seen")

@pytest.fixture
def left():
    yield
    assert "LEAVE" not in os.environ, "left behind"

def test_cleans(left):
    """It leaves something behind if told so."""

@pytest.mark.readonly
def test_release(stage):
    """It compares with the release file."""
    assert stage.release().services

def test_kubernetes(stage):
    """It looks into the cluster."""
    stage.cluster()
'''


@pytest.fixture
def door() -> Iterator[str]:
    """Return the address of something that answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    """Return a workshop whose acceptance suites are one file and one check of policies."""
    shutil.rmtree(workshop.folder / SUITE)
    for topic, text in (
        ("topic", TESTS),
        ("network", "def test_policy():\n    '''A policy is enforced.'''\n"),
    ):
        folder = workshop.folder / SUITE / topic
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"test_{topic}.py").write_text(text)
    return workshop


def release_file(shop: Workshop, **changes: object) -> str:
    service = {"version": "1.0.0", "image": "x", "digest": "sha256:" + "a" * 64, "replicas": 2}
    document = {
        "schema": 1,
        "environment": "staging",
        "namespace": "ecochain",
        "created": "2026-11-25T16:00:00Z",
        "services": {"api": service},
    }
    file = shop.folder / "release.json"
    file.write_text(json.dumps({**document, **changes}))
    return f"--release={file}"


def verify(shop: Workshop, door: str, *arguments: str, topic: str = "/topic", **env: str) -> Answer:
    return shop.pytest("--env=staging", f"--url={door}", *arguments, suites=SUITE + topic, DOOR=door, **env)


def verdicts(shop: Workshop) -> dict[str, dict[str, Any]]:
    (run,) = shop.folder.glob("reports/runs/2*")
    document = json.loads((run / "verdicts.json").read_text())
    assert {(each["sla"], each["scenario"], each["unit"]) for each in document["verdicts"]} == {
        ("acceptance", "acceptance", "share")
    }
    return {each["subject"]: each for each in document["verdicts"]}


def outside_runs(shop: Workshop) -> list[str]:
    return [made for made in shop.made() if "/reports/runs/" not in made]


def one_error(shop: Workshop, answer: Answer, *told: str) -> None:
    assert answer.status == 4, answer.output
    (error,) = [line for line in answer.output.splitlines() if line.startswith("ERROR: ")]
    assert all(words in error for words in told), error
    assert shop.made() == []


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_each_topic_gets_a_verdict(shop: Workshop, door: str, workers: tuple[str, ...]) -> None:
    """Without a kubeconfig what looks into the cluster could not know; only the run's folder is made."""
    answer = verify(shop, door, release_file(shop), *workers)
    assert answer.status == 1, answer.output
    judged = verdicts(shop)["topic"]
    assert judged["verdict"] == "INCONCLUSIVE", answer.output
    assert judged["evidence"]["passed"] == 6
    (doubt,) = judged["evidence"]["inconclusive"].values()
    assert "no --kubeconfig" in doubt
    assert outside_runs(shop) == []
    assert "nothing is made" in answer.output


@pytest.mark.parametrize(
    ("told", "verdict", "test"),
    [
        ({}, "PASS", None),
        ({"BREAK": "1"}, "FAIL", "test_breaks"),
        ({"LEAVE": "1"}, "FAIL", "test_cleans"),
        ({"DOUBT": "1"}, "INCONCLUSIVE", "test_knows"),
    ],
)
def test_a_tests_end_is_its_topics_verdict(
    shop: Workshop, door: str, told: dict[str, str], verdict: str, test: str | None
) -> None:
    """A failure, also of the clean-up, is FAIL, not knowing INCONCLUSIVE; exactly that test is named."""
    answer = verify(shop, door, release_file(shop), "-k", "not kubernetes", **told)
    assert answer.status == (0 if verdict == "PASS" else 1), answer.output
    judged = verdicts(shop)["topic"]
    assert judged["verdict"] == verdict
    named = [*judged["evidence"]["failed"], *judged["evidence"]["inconclusive"]]
    assert [name.rpartition("::")[2] for name in named] == ([test] if test else [])


def test_without_a_release_file_its_comparison_is_inconclusive(shop: Workshop, door: str) -> None:
    """What was released is not guessed."""
    verify(shop, door, "-k", "release")
    (doubt,) = verdicts(shop)["topic"]["evidence"]["inconclusive"].values()
    assert "no --release" in doubt


@pytest.mark.parametrize("workers", [("-n", "2")])
def test_only_what_reads_runs_on_production(shop: Workshop, door: str, workers: tuple[str, ...]) -> None:
    """The rest is left out, and a line says so."""
    file = release_file(shop, environment="production")
    answer = shop.pytest(
        "--env=production", f"--url={door}", file, *workers, suites=f"{SUITE}/topic", DOOR=door
    )
    assert answer.status == 0, answer.output
    assert verdicts(shop)["topic"]["evidence"]["tests"] == 2
    assert "only what is marked readonly runs" in answer.output


@pytest.mark.parametrize(("topic", "runs"), [("", False), ("/network", True)])
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_where_no_policy_is_enforced_its_check_runs_only_when_named(
    shop: Workshop, door: str, topic: str, runs: bool, workers: tuple[str, ...]
) -> None:
    """It can but be INCONCLUSIVE there, so that the whole suite leaves it out and says so."""
    shop.replace(
        "environments/staging.toml", "[environment]", '[environment]\nnetwork_policy = "not enforced"'
    )
    answer = verify(shop, door, "-k", "policy or reads", *workers, topic=topic)
    assert ("network" in verdicts(shop)) is runs, answer.output
    assert ("suites/acceptance/network is left out" in answer.output) is not runs


def test_a_front_door_that_does_not_answer_is_one_error(shop: Workshop) -> None:
    """Before any test, with the address."""
    one_error(shop, verify(shop, "http://127.0.0.1:1"), "http://127.0.0.1:1: --url", "that answers within")


def test_what_is_no_url_is_one_error(shop: Workshop) -> None:
    """It is not tried."""
    one_error(shop, verify(shop, "front.example"), "--url", "got 'front.example'")


def test_a_missing_url_is_one_error(shop: Workshop, tmp_path: Path) -> None:
    """The acceptance suites alone do not deploy into a cluster that is somebody else's."""
    file = tmp_path / "kubeconfig"
    file.write_text("{}")
    answer = shop.pytest("--env=staging", f"--kubeconfig={file}", suites=SUITE)
    one_error(shop, answer, "environments/staging.toml: --url", "releases.api.url", "got 'nothing'")


def test_the_scenarios_do_not_run_against_what_is_deployed_already(shop: Workshop, door: str) -> None:
    """They kill and release."""
    one_error(shop, shop.pytest("--env=staging", f"--url={door}"), "only suites/acceptance")


def test_a_release_file_of_another_environment_is_one_error(shop: Workshop, door: str) -> None:
    """File and key are named."""
    answer = verify(shop, door, release_file(shop, environment="production"))
    one_error(shop, answer, "release.json: environment: expected 'staging', got 'production'")


def test_a_kubeconfig_that_is_not_there_is_one_error_of_the_stage(shop: Workshop, door: str) -> None:
    """Given and absent is not the same as not given."""
    one_error(shop, verify(shop, door, "--kubeconfig=/nowhere"), "cluster.kubeconfig", "got '/nowhere'")
