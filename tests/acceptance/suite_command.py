"""The acceptance suites, run as a user runs them: `pytest suites/acceptance --env=… --url=…`."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from registry import TEARDOWN

from core.places import checkout

SUITE = Path("suites/acceptance")
#: the folders that need nothing but a URL
FOLDERS = ("journeys", "contract", "auth", "concurrency")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run said: the functions that ran, those that failed in some case, and what was printed."""

    code: int
    ran: frozenset[str]
    red: frozenset[str]
    printed: str


def suite_tests() -> dict[str, str]:
    """Return the node id of every test function of the folders, by its name."""
    found: dict[str, str] = {}
    for folder in FOLDERS:
        for file in sorted((checkout() / SUITE / folder).rglob("test_*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    assert node.name not in found, f"{node.name} is in {file} and in {found[node.name]}"
                    found[node.name] = f"{file.relative_to(checkout())}::{node.name}"
    return found


def run_suite(
    url: str, folder: Path, tests: Iterable[str] = (), *options: str, timeout_s: float = 300
) -> Outcome:
    """Run these test functions, or all; the run's results and reports go into the folder."""
    ids = suite_tests()
    named = [ids[test] for test in tests] or [str(SUITE / name) for name in FOLDERS]
    results = folder / "results.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        *named,
        "--env=staging",
        f"--url={url}",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, f"--junit-xml={results}", *options],
        cwd=checkout(),
        # Without Node no report is built, which takes longer than most of these runs.
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        | {"PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert results.exists(), f"the suite left no results (exit {done.returncode}):\n{printed}"
    ran, red = set(), set()
    for case in ET.parse(results).iter("testcase"):
        function = case.get("name", "").partition("[")[0]
        ran.add(function)
        for kind in ("failure", "error"):
            for trouble in case.iter(kind):
                late = "teardown" in trouble.get("message", "")
                red.add(TEARDOWN if kind == "error" and late else function)
    return Outcome(code=done.returncode, ran=frozenset(ran), red=frozenset(red), printed=printed)
