"""`verify load`: thresholds in its exit status, bad input in one line, nothing started by it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from target_server import TargetServer

from core.places import checkout
from slas.timeline import Timeline

WORKLOAD = """
journeys: {auth: 1}
users: 4
stages: [{rate: 40.0, duration_s: 4.0}]
thresholds: ["p95<1900ms", "error_ratio<1%"]
"""


@pytest.fixture
def workload(tmp_path: Path) -> str:
    file = tmp_path / "made.yaml"
    file.write_text(WORKLOAD)
    return str(file)


def verify_load(*arguments: str, timeout_s: float = 90) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "cli.main", "load", *arguments]
    return subprocess.run(
        argv, cwd=checkout(), capture_output=True, text=True, timeout=timeout_s, check=False
    )


def test_kept_thresholds_pass_and_all_is_told(tmp_path: Path, workload: str) -> None:
    """On the terminal, in the file, and in the folder that is kept."""
    out, kept = tmp_path / "out.json", tmp_path / "kept"
    with TargetServer() as target:
        done = verify_load(
            "--url",
            target.url,
            "--workload",
            workload,
            "--json",
            str(out),
            "--keep",
            str(kept),
            "--workers",
            "2",
        )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(out.read_text())
    assert (told["verdict"], told["requests"], told["failures"], told["doubts"]) == ("PASS", 160, 0, [])
    assert [one["outcome"] for one in told["thresholds"]] == ["PASS", "PASS"]
    assert told["corrected_ms"]["p95"] >= told["uncorrected_ms"]["p95"]
    assert "PASS" in done.stdout
    assert sum(len(rows) for rows in Timeline.load(kept).samples.values()) == 160


def test_a_broken_threshold_fails_the_command(workload: str) -> None:
    """One that no server can keep."""
    with TargetServer() as target:
        done = verify_load("--url", target.url, "--workload", workload, "--threshold", "p95<0.001ms")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL          p95<0.001ms" in done.stdout


def test_failed_requests_fail_the_command(workload: str) -> None:
    """By the workload's own thresholds."""
    with TargetServer("fail") as target:
        done = verify_load("--url", target.url, "--workload", workload)
    assert done.returncode == 1, done.stdout + done.stderr


def test_a_rate_that_the_server_cannot_take_is_inconclusive(workload: str) -> None:
    """The numbers are not about the load that was asked for."""
    with TargetServer(takes_s=0.3) as target:
        done = verify_load("--url", target.url, "--workload", workload)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "requests due in the window" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rate", "0"), "--rate: expected a positive number, got 0"),
        (("--duration", "-5"), "--duration: expected a positive number, got -5"),
        (("--duration", "nan"), "--duration: expected a positive number"),
        (("--workers", "0"), "--workers: expected a positive number, got 0"),
        (("--users", "0"), "--users: expected a positive number, got 0"),
        (("--workload", "nowhere"), "one of platform, ramp, soak, spike, steady"),
        (("--threshold", "fast"), "threshold: expected such as p95<250ms"),
        (("--on", "kubernetes"), "--on kubernetes: expected a cluster"),
        (("--json", "/nowhere/out.json"), "--json: expected a file in a folder that exists"),
        (("--url", "http://8.8.8.8"), "neither loopback nor private"),
        (("--url", "gopher://127.0.0.1"), "expected http"),
        (("--on", "kubernetes", "--kubeconfig", "/nowhere"), "kubeconfig"),
    ],
)
def test_bad_input_is_one_line_and_sends_nothing(
    workload: str, arguments: tuple[str, ...], words: str
) -> None:
    """Exit status 2, no traceback."""
    with TargetServer() as target:
        given = {"--url": target.url, "--workload": workload}
        given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
        done = verify_load(*(word for pair in given.items() for word in pair))
        assert target.seen == []
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_address_where_nobody_listens_is_misuse(workload: str) -> None:
    """Before any process of the load is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = verify_load("--url", f"http://127.0.0.1:{taken.getsockname()[1]}", "--workload", workload)
    assert done.returncode == 2
    assert "cannot be reached" in done.stderr
