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

from cli.probe import add_parser
from core.errors import MisuseError
from core.files import read_lines
from core.waiting import wait_until


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
        (["http://127.0.0.1:1/", "--rate", "0"], "rate: expected more than 0"),
        (["http://127.0.0.1:1/", "--duration", "0"], "--duration: expected more than 0"),
        (["http://127.0.0.1:1/", "http://127.0.0.1:1/"], "each address once"),
        (["http://127.0.0.1:1/", "--json", "/nonexistent/x.json"], "--json: expected a file in a folder"),
    ],
)
def test_bad_input_is_one_clear_error(words, match):
    """Misuse is refused before anything is sent."""
    with pytest.raises(MisuseError, match=match):
        verify(*words)


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
