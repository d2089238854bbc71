"""The static Allure 3 report of a run: one HTML file that opens without a server or a network.

It is built by the npm package `allure` at the versions of reports/allure/package-lock.json. A report
is a convenience: what goes wrong here is said in one line, and never changes a verdict.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import VerifyError
from core.files import write_atomic
from core.places import cache, checkout
from core.processes import run
from reports.allure import CATEGORIES
from reports.runs import Run

HISTORY_LIMIT = 100
# Allure 3.18 ignores ALLURE_NO_ANALYTICS in this report and puts Google's tag into it.
TAG = re.compile(
    r"<script async src=\"https://www\.googletagmanager\.com/[^>]*></script>\s*<script>.*?</script>",
    re.DOTALL,
)


def build_report(
    made: Run,
    say: Callable[[str], None],
    *,
    install_timeout_s: float = 180,
    build_timeout_s: float = 60,
    which: Callable[[str], str | None] = shutil.which,
) -> Path | None:
    """Build <run>/allure-report/index.html from its allure-results and return that path.

    Returns None, after one line to `say`, if node or npm is missing, there are no results, or a step
    fails or takes too long. The history of an environment is kept beside the runs, so that it
    survives their pruning; building a report again does not count twice.
    """
    node, npm = which("node"), which("npm")
    if node is None or npm is None:
        say(f"no HTML report: node and npm are not installed (results: {made.allure_results})")
        return None
    if not any(made.allure_results.glob("*-result.json")):
        say(f"no HTML report: {made.allure_results} holds no results")
        return None
    try:
        command = _installed(npm, say, install_timeout_s)
        return _generate([node, str(command)], made, build_timeout_s)
    except (VerifyError, OSError, Timeout) as error:
        say(f"no HTML report: {' '.join(str(error).split())}")
        return None


def _installed(npm: str, say: Callable[[str], None], timeout_s: float) -> Path:
    """Return Allure's command, installed once per lock file into the cache; whole or absent."""
    pins = checkout() / "reports" / "allure"
    digest = hashlib.sha256((pins / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = cache() / f"allure-{digest}"
    command = Path("node_modules", "allure", "cli.js")
    if not (folder / command).is_file():
        say("installing Allure 3 from npm")
        cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".allure-", dir=cache()) as making:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(pins / name, making)
            quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
            run([npm, "ci", *quiet], timeout_s=timeout_s, cwd=Path(making))
            ready = Path(making) / "ready"
            ready.mkdir()
            (Path(making) / "node_modules").rename(ready / "node_modules")
            try:
                ready.rename(folder)
            except OSError:
                if not (folder / command).is_file():  # else another process was faster
                    raise
    return folder / command


def _generate(command: list[str], made: Run, timeout_s: float) -> Path:
    info = made.info()
    history = made.path.parent / f"history-{info.environment}.jsonl"
    report = made.path / "allure-report"
    with (
        tempfile.TemporaryDirectory(prefix=".allure-", dir=made.path) as making,
        FileLock(history.with_suffix(".lock"), timeout=timeout_s),
    ):
        _drop_torn(history)
        settings = Path(making) / "allurerc.json"
        built = Path(making) / "allure-report"
        again = report.exists()
        settings.write_text(
            json.dumps(
                {
                    "name": f"EcoChain Verify: {info.environment}, {info.id}",
                    "output": str(built),
                    "historyPath": str(history),
                    "historyLimit": HISTORY_LIMIT,
                    "appendHistory": not again,
                    "categories": CATEGORIES,
                    "plugins": {
                        "awesome": {
                            "options": {
                                "singleFile": True,
                                "reportLanguage": "en",
                                "groupBy": ["epic", "feature", "story"],
                            }
                        }
                    },
                }
            )
        )
        run(
            [*command, "generate", "--config", settings, made.allure_results],
            timeout_s=timeout_s,
            cwd=Path(making),
            env={"ALLURE_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"},
        )
        for page in built.rglob("*.html"):
            page.write_text(TAG.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
        if again:
            shutil.rmtree(report)
        built.rename(report)
    return report / "index.html"


def _drop_torn(history: Path) -> None:
    """Leave out what a killed Allure tore: a history with one bad line would stop every later report."""
    if not history.exists():
        return
    lines = history.read_text(encoding="utf-8", errors="replace").splitlines()
    whole = [line for line in lines if _is_record(line)]
    if whole != lines:
        write_atomic(history, "".join(f"{line}{os.linesep}" for line in whole))


def _is_record(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
