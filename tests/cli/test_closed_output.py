"""A reader that has enough, such as `head`, ends the command without a traceback."""

from __future__ import annotations

import subprocess
import sys


def test_a_reader_that_leaves_is_no_error_of_ours():
    """Nothing is said, and the status is the one of a closed pipe."""
    command = [sys.executable, "-m", "cli.main", "chaos", "list"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(30) == 141
    assert said == b""
