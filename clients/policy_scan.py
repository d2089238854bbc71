"""The seam to checkov, which looks for weak settings in Terraform configurations."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.errors import CommandError
from core.places import cache, checkout
from core.processes import run
from core.uv import uv_command

_REQUIREMENTS = Path("terraform/policy/requirements.txt")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A check that a resource does not pass, or, with a `reason`, need not pass."""

    check: str
    resource: str
    text: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.check} {self.resource}: {self.text}"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What a scan looked at, what it found, and what was waived beside its reason."""

    passed: int
    failed: tuple[Finding, ...]
    waived: tuple[Finding, ...]


def scan(folder: Path, *, progress: Callable[[str], None] = lambda _text: None) -> Scan:
    """Look through every Terraform file below `folder`, offline.

    checkov is installed into the cache at its first use. Raises RefusedError without uv, CommandError if it
    cannot be installed, if a file does not parse, or if nothing was looked at.
    """
    program = _program(progress)
    argv: list[str | Path] = [
        program,
        "-d",
        folder,
        "--framework",
        "terraform",
        "--quiet",
        "--compact",
        "--skip-download",
    ]
    done = run([*argv, "-o", "json"], timeout_s=300, check=False)
    try:
        report = json.loads(done.stdout)
        results, unread = report["results"], report["results"].get("parsing_errors")
    except (ValueError, TypeError, KeyError) as error:
        raise CommandError([str(program)], done.returncode, done.stdout + done.stderr) from error
    if unread:
        raise CommandError([str(program)], done.returncode, f"files that do not parse: {', '.join(unread)}")
    passed = int(report["summary"]["passed"])
    if not passed:
        raise CommandError([str(program)], done.returncode, f"{folder}: nothing was looked at")
    return Scan(
        passed=passed,
        failed=tuple(_finding(found) for found in results["failed_checks"]),
        waived=tuple(_finding(found) for found in results.get("skipped_checks") or ()),
    )


def _finding(found: dict[str, Any]) -> Finding:
    return Finding(
        check=found["check_id"],
        resource=found["resource"],
        text=found["check_name"],
        reason=found["check_result"].get("suppress_comment"),
    )


def _program(progress: Callable[[str], None]) -> Path:
    requirements = checkout() / _REQUIREMENTS
    pins = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    place = cache() / f"policy-scan-{pins}"
    program, complete = place / "bin" / "checkov", place / ".complete"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not complete.exists():
            progress("installing checkov, once")
            uv, quiet = uv_command(), {"UV_PYTHON_DOWNLOADS": "never"}
            python = place / "bin" / "python"
            run(
                [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, place],
                timeout_s=60,
                env=quiet,
            )
            words = ["pip", "install", "--quiet", "--require-hashes", "--python"]
            run([*uv, *words, python, "-r", requirements], timeout_s=300, env=quiet)
            complete.touch()
    progress("scanning for weak settings")
    return program
