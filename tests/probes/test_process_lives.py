"""Processes that die, freeze or are told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core.errors import EnvironmentFailedError, MisuseError
from core.files import read_lines
from core.processes import ProcessId
from core.waiting import wait_until
from probes.recorder import ProbeTarget, Recorder
from slas.segments import read_segments

_PARENT = """
import sys, time
from pathlib import Path
from core.clock import RunClock
from probes.recorder import ProbeTarget, Recorder
with Recorder(Path(sys.argv[1]), RunClock.start(), None, "", [ProbeTarget(name="p", url="http://127.0.0.1:1/")]):
    time.sleep(60)
"""


def test_children_end_with_a_parent_that_was_killed(tmp_path):
    """SIGKILL of the parent ends every process it had started, and they are all in the ledger."""
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path)])

    def started():
        lines = [one for one in read_lines(tmp_path / "ledger.jsonl") if one["kind"] == "process.started"]
        return lines if len(lines) == 2 else None

    ids: list[ProcessId] = []
    try:
        ids += [
            ProcessId(pid=one["pid"], start_ticks=one["start_ticks"])
            for one in wait_until("two children", started, 20)
        ]
        wait_until("the first samples", lambda: list((tmp_path / "samples").glob("*.parquet")), 20)
        assert all(one.alive() for one in ids)
    finally:
        parent.kill()
        parent.wait()
    try:
        wait_until("the children to end", lambda: not any(one.alive() for one in ids), 10)
    finally:
        for one in ids:  # a failure of this test must not leave them behind either
            one.end(grace_s=0)
    events = [one["kind"] for one in read_lines(tmp_path / "events.jsonl")]
    assert events.count("probe.ended") == 4, "the sampler wrote what it had"


def test_a_killed_sampler_leaves_all_but_its_last_second(server, sampler, tmp_path, clock):
    """What was flushed stays readable, and that is everything older than a second."""
    process = sampler(server[1])
    time.sleep(1.6)
    killed_s = clock.now()
    process.id.signal(signal.SIGKILL)
    assert process.stop(5) == -signal.SIGKILL
    samples, _ = read_segments(tmp_path / "samples")
    assert set(samples) == {"p/new", "p/reused"}
    for columns in samples.values():
        assert killed_s - 1.0 < columns.scheduled_s[-1] < killed_s
        assert np.diff(columns.scheduled_s).max() < 0.0101


def test_each_thread_that_takes_pythons_lock_goes_first(server, sampler):
    """A thread of ordinary priority that is put off while it has the lock would put off the ticks with it."""
    pid = sampler(server[1]).id.pid
    ours = [os.sched_getscheduler(int(one.name)) for one in Path(f"/proc/{pid}/task").iterdir()]
    # The loop, the writer, and the thread that looks names up.
    assert len([policy for policy in ours if policy & os.SCHED_RR]) == 3


def test_the_table_of_files_need_not_grow_while_it_probes(server, sampler):
    """Where threads share it, whoever makes it grow waits for RCU, and the ticks with it."""
    status = Path(f"/proc/{sampler(server[1]).id.pid}/status").read_text()
    (size,) = (line.split()[1] for line in status.splitlines() if line.startswith("FDSize:"))
    assert int(size) >= 4096


def test_a_frozen_runner_is_blind_and_the_product_is_not_down(server, tmp_path, clock):
    """Freezing the sampler, or the control target, is told as a blind span that covers the freeze."""
    frozen = {}
    with Recorder(tmp_path, clock, None, "", [ProbeTarget(name="p", url=server[1])], rate=100) as recorder:
        recorder.ready(20)
        for child in (recorder._sampler, recorder._control):
            start_s = clock.now()
            child.id.signal(signal.SIGSTOP)
            time.sleep(0.4)
            end_s = clock.now()
            child.id.signal(signal.SIGCONT)
            frozen[child.name] = (start_s, end_s)
            time.sleep(0.6)
    spans = [one for one in read_lines(tmp_path / "events.jsonl") if one["kind"] == "control.blind"]
    for name, (start_s, end_s) in frozen.items():
        assert any(one["start_s"] <= start_s + 0.02 and one["end_s"] >= end_s for one in spans), (name, spans)
    samples, _ = read_segments(tmp_path / "samples")
    assert {int(code) for name in ("p/new", "p/reused") for code in samples[name].outcome} == {0}


def test_calibration_finds_its_outage_and_says_so_of_every_series(server, tmp_path, clock):
    """The planned outage is found, proves less than 100 ms, and is no blind span."""
    targets = [ProbeTarget(name="p", url=server[1]), ProbeTarget(name="gone", url="http://127.0.0.1:1/")]
    with Recorder(tmp_path, clock, None, "", targets, rate=100, seed=1) as recorder:
        recorder.ready(20)
        results = recorder.calibrate()
        assert recorder.series == ["p/new", "p/reused", "gone/new", "gone/reused"]
    recorder.stop()
    events = list(read_lines(tmp_path / "events.jsonl"))
    assert [one for one in events if one["kind"] == "calibration.result"] == results
    assert [one["series"] for one in results] == recorder.series
    for result in results:
        assert result["by"] == f"control/{result['series'].partition('/')[2]}"
        assert result["found"], result
        assert 0.03 < result["resolution_s"] < 0.1
    (truth, _) = [one for one in events if one["kind"] == "calibration.outage"][-2:]
    blind = [one for one in events if one["kind"] == "control.blind"]
    assert not [one for one in blind if one["start_s"] < truth["end_s"] and one["end_s"] > truth["start_s"]]


def test_calibration_finds_each_mode_also_in_a_second_recorder_of_a_run(server, tmp_path, clock):
    """Recorders of one run do not take each other's outages for their own, and do not repeat them."""
    planned = []
    for _ in range(2):
        with Recorder(tmp_path, clock, None, "", [ProbeTarget(name="p", url=server[1])], seed=3) as recorder:
            recorder.ready(20)
            planned.append(recorder._random.getstate())
            for mode in ("refused", "reset", "503"):
                results = recorder.calibrate(mode=mode)
                assert [(one["found"], one["mode"]) for one in results] == [(True, mode)] * 2, results
    assert planned[0] != planned[1]


def test_a_dead_sampler_is_an_error_not_a_quiet_run(tmp_path, clock, server):
    """A recorder whose sampler died says so when asked, and again at the end."""
    recorder = Recorder(tmp_path, clock, None, "", [ProbeTarget(name="p", url=server[1])])
    recorder.start()
    recorder._sampler.id.end(grace_s=0)
    with pytest.raises(EnvironmentFailedError, match="sampler process ended with status -9"):
        recorder.ready(20)
    with pytest.raises(EnvironmentFailedError, match="sampler process ended with status -9"):
        recorder.stop()
    recorder.stop()


@pytest.mark.parametrize(
    ("changes", "url", "match"),
    [
        ({"rate": 0}, "http://127.0.0.1/", "rate: expected more than 0"),
        ({"rate": float("nan")}, "http://127.0.0.1/", "rate: expected more than 0"),
        ({"timeout_s": -1}, "http://127.0.0.1/", "timeout_s: expected more than 0"),
        ({}, "ftp://x/", "expected http:// or https://"),
        ({}, "http://x:99999/", "Port out of range"),
        ({}, "http:///path", "expected a host"),
        ({}, "http://u:p@x/", "expected no user name"),
        ({}, "http://x/a b", "without spaces"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(tmp_path, clock, changes, url, match):
    """A wrong rate, time-out or URL is one clear error, and no process was started."""
    with pytest.raises(MisuseError, match=match):
        Recorder(tmp_path, clock, None, "", [ProbeTarget(name="p", url=url)], **changes)
    assert list(tmp_path.iterdir()) == []
