"""The double runs on loopback only, is recorded before it runs, and leaves no process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from clients.marked import marked
from core.errors import CommandError
from lab import aws_double


def test_the_double_listens_on_loopback_only(double: aws_double.AwsDouble) -> None:
    """No other machine reaches the double, and it holds no connection to any."""
    connections = psutil.Process(double.process.pid).net_connections(kind="inet")
    assert connections
    assert {connection.laddr.ip for connection in connections} == {"127.0.0.1"}


def test_nothing_of_the_users_environment_reaches_the_double(double: aws_double.AwsDouble) -> None:
    """A user's real AWS credentials cannot leak into the double's process."""
    environment = psutil.Process(double.process.pid).environ()
    assert "SSH_AUTH_SOCK" not in environment
    assert not [name for name in environment if name.startswith("AWS_")]


def test_the_intent_is_recorded_before_the_process_exists(tmp_path: Path) -> None:
    """A crash at any moment of the start leaves a line that leads to the process."""
    seen: list[tuple[object, bool]] = []
    folder = tmp_path / "double"

    def record(line: object) -> None:
        assert isinstance(line, dict)
        seen.append((line["kind"], bool(marked(aws_double.MARK, str(folder)))))

    running = aws_double.start(folder, record=record)
    running.stop()
    assert seen[0] == ("double.starting", False)
    assert seen[-1][0] == "double.started"
    assert not running.alive()
    running.stop()


def test_a_double_that_ends_at_once_is_an_error_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A double that cannot start gives its own words, not a time-out."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no such module' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(aws_double, "interpreter", lambda: broken)
    with pytest.raises(CommandError, match="no such module"):
        aws_double.start(tmp_path / "double", record=lambda _line: None)


def test_an_unrecorded_process_is_found_by_its_mark(tmp_path: Path) -> None:
    """A double whose number was never written down is still found and ended."""
    mark = {aws_double.MARK: str(tmp_path)}
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, **mark}
    )
    assert aws_double.end_leftovers(tmp_path) == 1
    assert child.wait(5) != 0
    assert aws_double.end_leftovers(tmp_path) == 0
