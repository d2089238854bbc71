"""What one public `verify judge` of a run costs, measured from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Time on the clock and on the processor, the most memory held, and the verdicts by SLA."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    verdicts: dict[str, dict[str, Any]]


def judge(run: Path) -> Cost:
    """Judge a run in a process of its own."""
    out = run.with_name(f"{run.name}-verdicts.json")
    command = [str(Path(sys.executable).with_name("verify")), "judge", str(run), "--json"]
    began_s = time.monotonic()
    with out.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    verdicts = {one["sla"]: one for one in json.loads(out.read_text())["verdicts"]}
    return Cost(
        wall_s=time.monotonic() - began_s,
        cpu_s=used.ru_utime + used.ru_stime,
        peak_bytes=used.ru_maxrss * 1024,
        verdicts=verdicts,
    )


def size_bytes(run: Path) -> int:
    """Return how much of the disk a run takes, by blocks as `du` counts them."""
    return sum(path.stat().st_blocks * 512 for path in run.rglob("*") if path.is_file())
