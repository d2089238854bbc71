"""A pytest plugin in place of the harness's own: the suite runs against what a test has applied to a double.

`ECOCHAIN_VERIFY_STANDING` names a JSON file with {name: what `Environment.provisioned` holds}. Every test
runs once for each name, and what became of it is written beside the file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

VARIABLE = "ECOCHAIN_VERIFY_STANDING"
_FILE = Path(os.environ.get(VARIABLE, os.devnull))
_STANDING: dict[str, Any] = json.loads(_FILE.read_text() or "{}") if VARIABLE in os.environ else {}
_OUTCOMES: dict[str, dict[str, str]] = {name: {} for name in _STANDING}


def outcomes_file(standing: Path) -> Path:
    """Return where the outcomes lie: {name: {test: passed, failed, error or skipped}}."""
    return standing.with_suffix(".outcomes.json")


def pytest_configure(config: pytest.Config) -> None:
    """Know the suites' markers."""
    for marker in ("readonly", "quick"):
        config.addinivalue_line("markers", f"{marker}: as in the harness's own plugin")


@pytest.fixture(scope="session", params=list(_STANDING))
def environment(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Return what the infrastructure suite asks of an environment."""
    return SimpleNamespace(provisioned=_STANDING[request.param])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the outcome."""
    test, _, name = report.nodeid.rpartition("::")[2].removesuffix("]").partition("[")
    if report.when == "call" or report.outcome != "passed":
        _OUTCOMES[name][test] = "error" if report.failed and report.when != "call" else report.outcome


def pytest_sessionfinish() -> None:
    """Write the outcomes."""
    outcomes_file(_FILE).write_text(json.dumps(_OUTCOMES, indent=1))
