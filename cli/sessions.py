"""A pytest session over the suites, and the exit code that its verdicts give."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from core.places import checkout
from reports.runs import Run, RunStore
from slas.judge import outcome_exit_code, read_verdicts

_FAILED, _MISUSE, _UNJUDGED, _UNCLEAN, _INTERRUPTED = 1, 2, 3, 4, 130


def play(options: Sequence[str], *, aside: bool = False) -> tuple[int, Run | None]:
    """Run pytest with these options; return the exit code of `verify` and the run, if one was made.

    With `aside` it is a process of its own whose output goes to stderr: stdout is then the caller's alone.
    """
    words = [*options, "--rootdir", str(checkout()), "-q", "-p", "no:cacheprovider", "--tb=short"]
    before = RunStore().latest()
    if aside:
        command = [sys.executable, "-m", "pytest", *words]
        status = subprocess.run(command, cwd=checkout(), check=False, stdout=sys.stderr).returncode
    else:
        status = int(pytest.main(words))
    made = RunStore().latest()
    if made is None or (before is not None and made.path == before.path):
        return (_MISUSE if status == pytest.ExitCode.USAGE_ERROR else _UNCLEAN), None
    return _exit_code(status, made), made


def _exit_code(status: int, made: Run) -> int:
    """Turn the verdicts into the exit code; a test that failed otherwise is a failure too."""
    # Imported after pytest, which wants to import the fixtures itself.
    from fixtures.environment import failed  # noqa: PLC0415

    if failed(made):
        return _UNCLEAN
    known = {
        pytest.ExitCode.INTERRUPTED: _INTERRUPTED,
        pytest.ExitCode.USAGE_ERROR: _MISUSE,
        pytest.ExitCode.NO_TESTS_COLLECTED: _MISUSE,
    }
    judged = outcome_exit_code(read_verdicts(made.path)) if made.verdicts.exists() else 0
    if status in known:
        return known[pytest.ExitCode(status)]
    return judged or (_FAILED if status else 0 if made.verdicts.exists() else _UNJUDGED)
