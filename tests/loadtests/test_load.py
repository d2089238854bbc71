"""The load handle and its generator process, against a server on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from target_server import TargetServer

from core.clock import RunClock
from core.errors import InconclusiveError, MisuseError, RefusedError
from core.files import read_lines
from core.places import checkout
from core.processes import ProcessId
from core.waiting import wait_until
from loadtests.generator import NICE
from loadtests.runner import Load
from loadtests.settings import LoadSettings

FAST = LoadSettings.steady(users=4, rate=40, request_timeout_s=1)
RATE = FAST.plan.peak_rate
HERE = ("127.0.0.1",)


def events(run_dir: Path, kind: str) -> list[dict]:
    return [e for e in read_lines(run_dir / "events.jsonl") if e["kind"] == kind]


def make(run_dir: Path, url: str, settings: LoadSettings = FAST) -> Load:
    return Load(run_dir, RunClock.start().offset_s, url, settings, allowed_hosts=HERE)


def test_each_second_of_load_reaches_the_timeline(tmp_path: Path) -> None:
    """Counts, histogram, users and own CPU come every second, and the totals agree with them."""
    with TargetServer() as server, make(tmp_path, server.url) as load:
        flowing_s = load.wait_flowing(20)
        time.sleep(1.2)
        result = load.stop()
    seconds = events(tmp_path, "load.second")
    assert result.succeeded
    assert result.reason == "stopped"
    assert len(seconds) >= 2
    assert sum(s["requests"] for s in seconds) == result.requests > 0
    assert sum(sum(s["latency_ms"].values()) for s in seconds) == result.requests
    assert all({"p50_ms", "p95_ms", "cpu", "users", "failures", "span_s"} <= s.keys() for s in seconds)
    assert seconds[0]["users"] == FAST.users
    assert events(tmp_path, "load.started")[0]["t"] < flowing_s < events(tmp_path, "load.ended")[0]["t"]
    assert abs(time.time() - flowing_s) < 10


def test_the_offered_rate_is_kept_by_a_fast_target(tmp_path: Path) -> None:
    """Never more than users and rate state, and near it even where the machine is busy."""
    with TargetServer() as server, make(tmp_path, server.url) as load:
        load.wait_flowing(20)
        time.sleep(2.2)
    whole = events(tmp_path, "load.second")[1:-1]
    achieved = sum(s["requests"] for s in whole) / sum(s["span_s"] for s in whole)
    assert RATE * 0.6 <= achieved <= RATE * 1.15


def test_the_generator_goes_before_ordinary_work(tmp_path: Path) -> None:
    """On a machine that is busy with what is measured it would offer less than it says."""
    with TargetServer() as server, make(tmp_path, server.url) as load:
        load.wait_flowing(20)
        assert load.process
        assert os.getpriority(os.PRIO_PROCESS, load.process.pid) == NICE


def test_failing_answers_are_failures_and_the_load_itself_succeeds(tmp_path: Path) -> None:
    """A status 500 is the product's failure: counted with its cause, and no latency sample."""
    with TargetServer("fail") as server, make(tmp_path, server.url) as load:
        load.wait_flowing(20)
        result = load.stop()
    assert result.succeeded
    assert result.failures == result.requests > 0
    second = next(s for s in events(tmp_path, "load.second") if s["requests"])
    assert second["latency_ms"] == {}
    assert any("status 500" in cause for cause in second["errors"])


def test_a_dropped_connection_is_a_failure_and_is_not_repeated(tmp_path: Path) -> None:
    """The client's own repeats of an idempotent request would hide what the load must notice."""
    with TargetServer() as server, make(tmp_path, server.url) as load:
        load.wait_flowing(20)
        server.behave = "drop"
        before = len(server.seen)
        time.sleep(1.5)
        sent = server.seen[before:]
        result = load.stop()
    dropped = sum(1 for call in sent if call.startswith("GET"))
    assert dropped > 0
    assert result.failures >= dropped * 0.9
    assert result.requests == len(server.seen)


def test_a_killed_generator_is_recorded_as_killed(tmp_path: Path) -> None:
    """Nobody but the handle can write the end of a generator that got SIGKILL."""
    with TargetServer() as server, make(tmp_path, server.url) as load:
        load.wait_flowing(20)
        assert load.process
        load.process.signal(signal.SIGKILL)
        wait_until("the result", lambda: load.result, 5)
        result = load.stop()
    ended = events(tmp_path, "load.ended")
    assert len(ended) == 1
    assert ended[0]["exit_code"] == -9
    assert ended[0]["error"] == "killed by signal 9"
    assert ended[0]["workers_lost"] == 1
    assert ended[0]["requests"] > 0
    assert not result.succeeded


def test_a_load_without_requests_never_succeeds(tmp_path: Path) -> None:
    """Stopped before its users sent anything, it ends with an error of its own."""
    with TargetServer() as server:
        slow = LoadSettings.steady(users=1, rate=0.01)
        with make(tmp_path, server.url, slow) as load:
            wait_until("the start", lambda: events(tmp_path, "load.started"), 20)
            result = load.stop()
    assert result.requests == 0
    assert not result.succeeded
    assert events(tmp_path, "load.ended")[0]["error"] == "no request was sent"
    with pytest.raises(InconclusiveError, match="no request was sent"):
        load.wait_flowing(1)


def test_a_generator_that_cannot_start_is_no_success(tmp_path: Path) -> None:
    """An assignment that it cannot carry out ends it; its own words reach the timeline."""
    with TargetServer() as server:
        load = make(tmp_path, server.url, replace(FAST, seed="nowhere"))  # type: ignore[arg-type]
        load.start()
        with pytest.raises(InconclusiveError):
            load.wait_flowing(20)
        assert not load.stop().succeeded
    assert "TypeError" in events(tmp_path, "load.ended")[0]["error"]


def test_the_bound_on_requests_ends_the_load(tmp_path: Path) -> None:
    """A load that nobody stops ends by itself, and says by which bound."""
    with TargetServer() as server:
        bounded = LoadSettings.steady(users=4, rate=80, max_requests=30)
        load = make(tmp_path, server.url, bounded).start()
        wait_until("the end", lambda: load.result, 20)
        result = load.stop()
    assert result.reason == "requests"
    assert result.requests == 30


def test_stopping_twice_gives_the_same_result_and_leaves_nothing(tmp_path: Path) -> None:
    """The second stop is harmless; the process is gone and the ledger settled."""
    with TargetServer() as server:
        load = make(tmp_path, server.url).start()
        load.wait_flowing(20)
        opened = list(read_lines(tmp_path / "ledger.jsonl"))
        assert opened[0]["op"] == "open"
        assert load.process
        assert opened[0]["pid"] == load.process.pid
        assert load.stop() == load.stop()
        assert not load.process.alive()
    assert list(read_lines(tmp_path / "ledger.jsonl"))[-1] | {"t": 0} == {
        "op": "close",
        "id": load.load_id,
        "t": 0,
    }


def test_a_frozen_generator_is_killed_by_stop(tmp_path: Path) -> None:
    """A generator that does not answer is killed after the grace, and recorded so."""
    with TargetServer() as server, make(tmp_path, server.url) as load:
        load.wait_flowing(20)
        assert load.process
        load.process.signal(signal.SIGSTOP)
        result = load.stop(grace_s=0.3)
    assert result.error == "killed by signal 9"
    assert not result.succeeded


@pytest.mark.parametrize("frozen", [False, True], ids=["running", "frozen"])
def test_the_generator_dies_with_its_killed_parent(tmp_path: Path, frozen: bool) -> None:
    """SIGKILL of the parent leaves no generator, not even a stopped one that cannot read its pipe."""
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from core.clock import RunClock
        from loadtests.runner import Load
        from loadtests.settings import LoadSettings
        settings = LoadSettings.steady(rate=50)
        offset_s, here = RunClock.start().offset_s, ("127.0.0.1",)
        load = Load(Path(sys.argv[1]), offset_s, sys.argv[2], settings, allowed_hosts=here)
        load.start(); load.wait_flowing(20)
        print(load.process.pid, flush=True)
        time.sleep(60)
        """
    )
    with TargetServer() as server:
        parent = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), server.url],
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout(),
        )
        assert parent.stdout
        with parent.stdout:
            generator = ProcessId.of(int(parent.stdout.readline()))
        assert generator
        try:
            if frozen:
                generator.signal(signal.SIGSTOP)
            os.kill(parent.pid, signal.SIGKILL)
            parent.wait()
            wait_until("the generator's end", lambda: not generator.alive(), 5)
        finally:
            generator.end(grace_s=0)


def test_the_harness_process_stays_unpatched() -> None:
    """Importing the handle brings in neither Locust nor gevent."""
    program = "import sys, loadtests.runner; sys.exit(any(m in sys.modules for m in ('locust', 'gevent')))"
    argv = [sys.executable, "-W", "error", "-c", program]
    assert subprocess.run(argv, cwd=checkout(), check=False).returncode == 0


@pytest.mark.parametrize(
    ("url", "allowed", "words"),
    [
        ("http://127.0.0.1:1", (), "not one of"),
        ("http://8.8.8.8:80", ("8.8.8.8",), "neither loopback nor private"),
        ("ftp://127.0.0.1", ("127.0.0.1",), "expected http"),
    ],
)
def test_a_target_outside_the_environment_is_refused(
    tmp_path: Path, url: str, allowed: tuple[str, ...], words: str
) -> None:
    """Neither an unlisted host nor a public address is ever sent load."""
    with pytest.raises(RefusedError, match=words):
        Load(tmp_path, 0.0, url, FAST, allowed_hosts=allowed)
    assert list(tmp_path.iterdir()) == []


def test_a_load_setting_that_makes_no_load_is_misuse() -> None:
    """Zero users would be a load that cannot fail."""
    with pytest.raises(MisuseError, match="users"):
        LoadSettings.steady(rate=1, users=0)
