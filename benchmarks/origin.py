"""Where a figure comes from: the commit, the date and the machine, as a document states them."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from core.places import checkout
from core.processes import run

# All but what no figure depends on. What is measured runs charts, Terraform, scenarios and Go programs as
# well as Python, so that nothing is code by its suffix.
_NOT_MEASURED = ("tests", "terraform/tests", "docs", "*.md", ".github", ".gitignore")
_SOURCES = (".", *(f":!{path}" for path in _NOT_MEASURED))


def revision() -> str:
    """Return the commit that last changed what is measured; `-` and a hash if more has changed since.

    Commits of documents and tests alone leave it as it is, so what was measured before them still counts.
    """
    git = ["git", "-C", str(checkout())]
    commit = run(
        [*git, "log", "-1", "--format=%h", "--abbrev=12", "--", *_SOURCES], timeout_s=20
    ).stdout.strip()
    changed = run([*git, "diff", "HEAD", "--", *_SOURCES], timeout_s=20).stdout
    return commit + (f"-{hashlib.sha256(changed.encode()).hexdigest()[:8]}" if changed else "")


def stated(command: str) -> str:
    """Return the line that says which command gave a figure, from which commit, when and on what."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return f"`{command}`, commit {revision()}, {day}, {os.cpu_count()} cores of {model}."
