"""SIGKILL of everything that records keeps all but the last second: samples and events."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from core.files import read_lines
from core.processes import ProcessId
from core.waiting import wait_until
from slas.timeline import Timeline

RATE = 100.0
# Records a server of the harness's own until it is killed, and notes an event twenty times a second.
RECORD = """
import sys, time
from pathlib import Path
from core.clock import RunClock
from core.files import append_line
from probes.children import Child
from probes.recorder import ProbeTarget, Recorder

folder, clock = Path(sys.argv[1]), RunClock.start()
server = Child("server", "probes.control", {"offset_s": clock.offset_s}, folder, clock.now)
port = server.wait_for("the port", server.said, 20)[0]["port"]
target = ProbeTarget(name="product", url=f"http://127.0.0.1:{port}/")
with Recorder(folder, clock, None, "", [target], rate=float(sys.argv[2])) as recorder:
    recorder.ready(30)
    print(clock.offset_s, flush=True)
    number = 0
    while True:
        append_line(folder / "events.jsonl", {"t": clock.now(), "kind": "noted", "number": number})
        number += 1
        time.sleep(0.05)
"""


def test_a_kill_loses_at_most_the_last_second(tmp_path: Path) -> None:
    """Every tick that was due, and every event written, more than a second before is there."""
    moment = random.Random(time.time_ns())
    process = subprocess.Popen(
        [sys.executable, "-c", RECORD, str(tmp_path), str(RATE)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        offset_s = float(process.stdout.readline())
        time.sleep(moment.uniform(2.0, 4.0))
        started = [one for one in read_lines(tmp_path / "ledger.jsonl") if one["kind"] == "process.started"]
        recorded = [ProcessId(pid=one["pid"], start_ticks=one["start_ticks"]) for one in started]
        assert len(recorded) == 3
        killed_s = time.monotonic() + offset_s
        for one in recorded:
            one.signal(signal.SIGKILL)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait_until("all to be gone", lambda: not any(one.alive() for one in recorded), 10)

    timeline = Timeline.load(tmp_path)
    assert timeline.damage == ()
    until_s = killed_s - 1.0
    for series in ("product/new", "product/reused", "control/new", "control/reused"):
        ticks = timeline.samples[series]
        due_s = ticks.scheduled_s[~ticks.retry]
        assert due_s[-1] >= until_s, f"{series} ends {killed_s - due_s[-1]:.3f} s before the kill"
        kept_s = due_s[due_s < until_s]
        assert np.diff(kept_s).max() < 1.5 / RATE, f"{series} has a gap"
    numbers = [event["number"] for event in timeline.of_kind("noted", end_s=until_s)]
    assert numbers == list(range(len(numbers)))
    assert list(timeline.of_kind("noted", start_s=until_s))
    # The reader finds what is there, not what was meant: a segment less is a gap.
    middle = sorted((tmp_path / "samples").glob("*.parquet"))[2]
    middle.unlink()
    holed = Timeline.load(tmp_path).samples["product/new"].scheduled_s
    assert np.diff(holed[holed < until_s]).max() > 0.3
    assert json.loads((tmp_path / "events.jsonl").read_text().splitlines()[0])
