"""What a load's figures are worth: omission is corrected, and each way to be wrong is INCONCLUSIVE."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from target_server import TargetServer

from core.clock import RunClock
from core.files import read_lines
from core.places import checkout
from core.processes import ProcessId
from core.waiting import wait_until
from loadtests.runner import Load, LoadResult
from loadtests.settings import LoadSettings
from slas.expectations import UNITS
from slas.judge import judge
from slas.load_latency import latency_of
from slas.loads import Load as Evidence
from slas.loads import load_between
from slas.spans import spans_of
from slas.timeline import Timeline
from slas.verdicts import Outcome

HERE = ("127.0.0.1",)
QUICK = LoadSettings.steady(rate=60, duration_s=4, users=4, request_timeout_s=3)
TWO = replace(QUICK, workers=2)


def make(run_dir: Path, url: str, settings: LoadSettings) -> Load:
    return Load(run_dir, RunClock.start().offset_s, url, settings, allowed_hosts=HERE)


def sent(run_dir: Path, settings: LoadSettings = QUICK, **server: float) -> LoadResult:
    """Send a whole load to a server of this kind."""
    with TargetServer(**server) as target, make(run_dir, target.url, settings) as load:  # type: ignore[arg-type]
        return load.wait_ended(60)


def evidence(run_dir: Path) -> Evidence:
    timeline = Timeline.load(run_dir)
    (end,) = timeline.of_kind("load.ended")
    start_s = end.get("start_s") or timeline.events[0]["t"]
    return load_between(timeline, start_s, end.get("end_s") or end["t"])


def outcomes(run_dir: Path) -> dict[str, Outcome]:
    """Judge the whole load against bounds that any load keeps."""
    timeline = Timeline.load(run_dir)
    (end,) = timeline.of_kind("load.ended")
    asked = [
        {
            "t": end["t"],
            "kind": "expectation",
            "sla": sla,
            "subject": "auth-service",
            "scenario": "load",
            "start_s": end.get("start_s") or timeline.events[0]["t"],
            "end_s": end.get("end_s") or end["t"],
            "allowed": allowed,
            "unit": UNITS[sla],
            "resolution_s": None,
            "details": {"source": "load", "load_id": end["load_id"]},
        }
        for sla, allowed in (("error_ratio", 1.0), ("latency_p95", 1e9))
    ]
    whole = Timeline.of(events=[*timeline.events, *asked], samples=timeline.samples)
    return {verdict.sla: verdict.verdict for verdict in judge(whole)}


GOOD = {"error_ratio": Outcome.PASS, "latency_p95": Outcome.PASS}
UNKNOWN = {"error_ratio": Outcome.INCONCLUSIVE, "latency_p95": Outcome.INCONCLUSIVE}


@pytest.mark.parametrize("settings", [QUICK, TWO], ids=["one process", "two workers"])
def test_every_request_is_a_sample_and_the_load_is_believed(tmp_path: Path, settings: LoadSettings) -> None:
    """As many rows as requests, each sent at its moment or after; nothing speaks against the load."""
    ended = sent(tmp_path, settings)
    found = evidence(tmp_path)
    assert (ended.succeeded, list(found.problems)) == (True, [])
    assert ended.requests == found.requests == 240
    scheduled = sorted(moment for part in found.samples for moment in part.scheduled_s)
    steps = [after - before for before, after in itertools.pairwise(scheduled)]
    assert steps == pytest.approx([1 / 60] * 239, abs=1e-4)
    for part in found.samples:
        assert (part.sent_s >= part.scheduled_s).all()
        assert (part.finished_s > part.sent_s).all()
    assert outcomes(tmp_path) == GOOD


def test_a_stall_shows_in_the_corrected_percentile_and_hides_in_the_other(tmp_path: Path) -> None:
    """One second of silence delays a quarter of all requests, of which a closed loop sends four."""
    settings = LoadSettings.steady(rate=100, duration_s=6, users=4, request_timeout_s=3)
    with TargetServer() as target, make(tmp_path, target.url, settings) as load:
        load.wait_flowing(20)
        target.behave = "stall"
        threading.Timer(1.0, setattr, (target, "behave", "ok")).start()
        assert load.wait_ended(60).succeeded
    found = evidence(tmp_path)
    latency = latency_of(found, spans_of([]))
    assert (list(found.problems), found.requests) == ([], 600)
    shown = latency.as_json()
    # Due in the silent second: a sixth of all. A rank of 99 % lies near its full length.
    assert 850 < shown["corrected_ms"]["p99"] < 1300
    assert shown["corrected_ms"]["p90"] > 300
    assert shown["uncorrected_ms"]["p99"] < 300
    assert shown["uncorrected_ms"]["max"] > 850


def test_a_killed_worker_makes_the_verdicts_inconclusive(tmp_path: Path) -> None:
    """The rest sends on; neither its errors nor its latencies are a verdict."""
    with TargetServer() as target, make(tmp_path, target.url, TWO) as load:
        load.wait_flowing(20)
        opened = {line.get("pid") for line in read_lines(tmp_path / "ledger.jsonl") if line["op"] == "open"}
        assert load.workers[1].pid in opened
        load.workers[1].signal(signal.SIGKILL)
        ended = load.wait_ended(60)
    assert (ended.succeeded, ended.workers_lost) == (False, 1)
    assert "the load lost 1 workers" in evidence(tmp_path).problems
    assert outcomes(tmp_path) == UNKNOWN


def test_a_worker_that_never_comes_ends_the_load_before_it_begins(tmp_path: Path) -> None:
    """Of three that the master waits for, two connect: nothing is sent."""
    with TargetServer() as target:
        load = make(tmp_path, target.url, TWO)
        waited = replace(load._assignment, settings=replace(TWO, workers=3), connect_timeout_s=12)
        load._assignment = waited
        with load.start():
            ended = load.wait_ended(60)
        assert target.seen == []
    assert ended.exit_code == 3
    # However busy the machine is: whoever else is missing, the third cannot be there.
    assert "of 3 workers never connected" in str(ended.error)
    assert str(ended.error).endswith("2]")
    assert outcomes(tmp_path) == UNKNOWN


def test_a_server_too_slow_for_the_rate_makes_the_verdicts_inconclusive(tmp_path: Path) -> None:
    """Four users with answers of a fifth of a second send 20/s of the 60/s due."""
    ended = sent(tmp_path, QUICK, takes_s=0.2)
    (problem,) = evidence(tmp_path).problems
    assert "requests due in the window, at least 95% are needed" in problem
    assert ended.requests > 0
    assert outcomes(tmp_path) == UNKNOWN
    # What was never sent is in the record too, so that no percentile can be flattered.
    rows = sum(len(part) for part in Timeline.load(tmp_path).samples.values())
    assert rows == 240


def test_a_busy_generator_makes_the_verdicts_inconclusive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that burns CPU in the generator: the rate is kept, and still it measures itself."""
    burn = tmp_path / "burn"
    burn.mkdir()
    (burn / "sitecustomize.py").write_text(
        "import _thread, contextlib, hashlib, os\n"
        "def burn():\n"
        # This thread comes before whatever else the machine has to do.
        "    with contextlib.suppress(OSError):\n"
        "        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))\n"
        # It lets go of the interpreter's lock, so that the load itself goes on well.
        "    while True: hashlib.pbkdf2_hmac('sha256', b'x', b'y', 100_000)\n"
        "if 'loadtests.generator' in open('/proc/self/cmdline').read():\n"
        "    _thread.start_new_thread(burn, ())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(burn))
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    sent(run_dir, replace(QUICK, stages=LoadSettings.steady(rate=25, duration_s=8).stages))
    problems = evidence(run_dir).problems
    assert any("of a core, more than 90%: it measures itself" in problem for problem in problems)
    assert outcomes(run_dir) == UNKNOWN


def test_lost_samples_make_the_verdicts_inconclusive(tmp_path: Path) -> None:
    """A segment that is not there any more is missed."""
    assert sent(tmp_path).succeeded
    assert outcomes(tmp_path) == GOOD
    next((tmp_path / "samples").glob("*.parquet")).unlink()
    assert any("samples of the load are there, 240 were taken" in one for one in evidence(tmp_path).problems)
    assert outcomes(tmp_path) == UNKNOWN


def test_no_process_of_a_load_outlives_its_killed_harness(tmp_path: Path) -> None:
    """Master, workers and writer are gone, and what was handed over is on disk."""
    program = (
        "import sys, time; from pathlib import Path; from core.clock import RunClock\n"
        "from loadtests.runner import Load; from loadtests.settings import LoadSettings\n"
        "settings = LoadSettings.steady(rate=50, workers=2)\n"
        "load = Load(Path(sys.argv[1]), RunClock.start().offset_s, sys.argv[2], settings,"
        " allowed_hosts=('127.0.0.1',))\n"
        "load.start(); load.wait_flowing(20); print('flows', flush=True); time.sleep(60)\n"
    )
    with TargetServer() as target:
        harness = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), target.url],
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout(),
        )
        assert harness.stdout
        with harness.stdout:
            assert harness.stdout.readline() == "flows\n"
        opened = [line for line in read_lines(tmp_path / "ledger.jsonl") if line["op"] == "open"]
        all_of_it = [ProcessId(pid=line["pid"], start_ticks=line["start_ticks"]) for line in opened]
        assert len(all_of_it) == 4
        try:
            harness.kill()
            harness.wait()
            wait_until("all processes to end", lambda: not any(one.alive() for one in all_of_it), 10)
        finally:
            for one in all_of_it:
                one.end(grace_s=0)
    assert sum(len(part) for part in Timeline.load(tmp_path).samples.values()) >= 40
