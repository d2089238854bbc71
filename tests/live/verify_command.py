"""The public command `verify`, as a user runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

COMMAND = Path(sys.executable).with_name("verify")


def verify(
    *arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; return its status and what it printed, whatever the status."""
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def started(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the command in a session of its own, for a test that kills it midway."""
    return subprocess.Popen(
        [COMMAND, *arguments],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
