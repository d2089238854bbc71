"""`verify probe`, through its parser."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from cli.probe import _Result, add_parser
from core.errors import MisuseError
from core.files import read_lines
from core.waiting import wait_until
from slas.downtime import Downtime, Interval
from slas.verdicts import Bracket


def verify(*words):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["probe", *words])
    return args.run(args)


def test_an_outage_is_reported_in_the_file_and_on_the_terminal(server, tmp_path, capsys):
    """The file has a target for each kind of connection with its intervals; exit status 1."""
    child, url = server
    out = tmp_path / "out.json"
    child.tell({"mode": "503", "length_s": 0.2, "delay_s": 2.2})
    status = verify(url, "--rate", "100", "--duration", "3", "--json", str(out))
    truth = child.said()[-1]
    targets = json.loads(out.read_text())["targets"]
    assert status == 1
    assert [(one["url"], one["connection"]) for one in targets] == [(url, "new"), (url, "reused")]
    for one in targets:
        assert one["resolution_s"] < 0.1
        assert 290 <= one["sent"] <= 300
        assert 0 < one["failed"] <= 21
        (interval,) = one["intervals"]
        assert interval["start"] <= truth["start_s"] < truth["end_s"] <= interval["end"]
        assert (
            0
            < interval["lower_s"]
            <= truth["outer_end_s"] - truth["outer_start_s"]
            <= interval["upper_s"] + 0.001
        )
        assert (interval["kind"], interval["first_error"]) == ("status", "status 503")
    text = capsys.readouterr().out
    assert text.count("#") >= 2
    assert "status 503" in text


def test_health_exits_zero(server, capsys):
    """Nothing failed and the resolution is proved: exit status 0."""
    assert verify(server[1], "--duration", "1", "--connection", "new", "--slow-ms", "1500") == 0
    assert "0 failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["http://127.0.0.1:1/"], "cannot be reached: Connection refused"),
        (["http://nowhere.invalid/"], "cannot be reached"),
        (["nonsense"], "expected http:// or https://"),
        ([f"http://{'a' * 64}.invalid/"], "labels with 1 to 63 characters"),
        (["http://a..invalid/"], "labels with 1 to 63 characters"),
        (["http://127.0.0.1:0/"], "port: expected 1 to 65535, got 0"),
        (["http://[::1/"], "Invalid IPv6 URL"),
        (["http://127.0.0.1:1/", "--rate", "0"], "rate: expected more than 0"),
        (["http://127.0.0.1:1/", "--rate", "-3"], "rate: expected more than 0"),
        (["http://127.0.0.1:1/", "--rate", "nan"], "rate: expected more than 0"),
        (["http://127.0.0.1:1/", "--rate", "inf"], "rate: expected more than 0"),
        (["http://127.0.0.1:1/", "--rate", "10001"], "at most 10000"),
        (["http://127.0.0.1:1/", "--slow-ms", "nan"], "slow_ms: expected more than 0"),
        (["http://127.0.0.1:1/", "--timeout-s", "0"], "timeout_s: expected more than 0"),
        (["http://127.0.0.1:1/", "--duration", "nan"], "--duration: expected more than 0"),
        (["http://127.0.0.1:1/", "--expect", "99"], "--expect: expected a status from 100 to 599"),
        (["http://127.0.0.1:1/", "--json", "/"], "--json: expected a file in a folder"),
        (["http://127.0.0.1:1/", "--duration", "0"], "--duration: expected more than 0"),
        (["http://127.0.0.1:1/", "http://127.0.0.1:1/"], "each address once"),
        (["http://127.0.0.1:1/", "--json", "/nonexistent/x.json"], "--json: expected a file in a folder"),
    ],
)
def test_bad_input_is_one_clear_error(words, match):
    """Misuse is refused before anything is sent."""
    with pytest.raises(MisuseError, match=match):
        verify(*words)


def test_a_rate_that_this_machine_cannot_hold_says_nothing_of_the_product(server, tmp_path):
    """Far too many probes end early as INCONCLUSIVE: what they waited for was this machine."""
    out = tmp_path / "out.json"
    urls = [f"{server[1]}{path}" for path in ("a", "b", "c")]
    status = verify(*urls, "--rate", "10000", "--duration", "4", "--json", str(out))
    targets = json.loads(out.read_text())["targets"]
    assert status == 3
    assert len(targets) == 6
    assert all(any("cannot hold the rate" in doubt for doubt in one["doubts"]) for one in targets)


def test_a_refusal_is_a_failure_also_where_the_rate_is_not_held(made_result):
    """A time-out may be an overloaded machine's own, a refusal is what the product said."""
    assert made_result(kind="timeout", coverage=1.0).exit_code == 1
    assert made_result(kind="timeout", coverage=0.9).exit_code == 3
    assert made_result(kind="stall", late_p99_s=0.4).exit_code == 3
    assert made_result(kind="refused", coverage=0.9).exit_code == 1
    assert made_result(kind=None, coverage=0.9).exit_code == 3
    assert made_result(kind=None, late_p99_s=0.4).exit_code == 3
    assert made_result(kind=None, runner_failures=20).exit_code == 3
    assert made_result(kind=None, resolution_s=None).exit_code == 3
    assert made_result(kind=None).exit_code == 0


@pytest.fixture
def made_result():
    """Make a result of 1000 probes with one outage of a kind, or none."""

    def make(*, kind, **changes):
        seen = () if kind is None else (_interval(kind),)
        downtime = Downtime(
            total=Bracket(lower=0.0, upper=0.1 * len(seen)),
            longest=Bracket(lower=0.0, upper=0.1 * len(seen)),
            outages=len(seen),
            intervals=seen,
            stalls=(),
            failed=len(seen),
            looks=1000,
            blind_s=0.0,
            longest_gap_s=0.01,
        )
        fields = {
            "url": "http://x/",
            "connection": "new",
            "start_s": 0.0,
            "end_s": 10.0,
            "sent": 1000,
            "failed": len(seen),
            "stalled": 0,
            "runner_failures": 0,
            "runner_error": "",
            "answered": 999,
            "coverage": 1.0,
            "late_p99_s": 0.001,
            "resolution_s": 0.04,
            "latency_ms": {},
            "downtime": downtime,
        }
        return _Result(**{**fields, **changes})

    return make


def _interval(kind):
    return Interval(
        start_s=1.0,
        end_s=1.1,
        lower_s=0.05,
        kind=kind,
        first_error=kind,
        samples=3,
        status=0,
        series=("p/new",),
    )


_COMMAND = """
import argparse, sys
from cli.probe import add_parser
parser = argparse.ArgumentParser()
add_parser(parser.add_subparsers())
args = parser.parse_args(sys.argv[1:])
sys.exit(args.run(args))
"""


def test_ctrl_c_gives_the_result_so_far(server, tmp_path):
    """An interrupted probe reports what it has seen, in the file too, and leaves no process."""
    out = tmp_path / "out.json"
    words = ["probe", server[1], "--duration", "600", "--json", str(out)]
    command = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )

    def calibrated():
        logs = tmp_path.glob("verify-probe-*/events.jsonl")
        return any(one["kind"] == "calibration.result" for log in logs for one in read_lines(log))

    try:
        wait_until("the calibration", calibrated, 30)
        children = psutil.Process(command.pid).children()
        command.send_signal(signal.SIGINT)
        _, errors = command.communicate(timeout=20)
    finally:
        command.kill()
    assert "ended by Ctrl-C" in errors
    assert command.returncode == 0, errors
    assert all(one["sent"] > 50 and one["failed"] == 0 for one in json.loads(out.read_text())["targets"])
    assert len(children) == 2
    assert not [one for one in children if one.is_running()]
    assert not list(tmp_path.glob("verify-probe-*"))
