"""The harness's pods, as processes on loopback, with clocks that are wrong on purpose."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clients.kubernetes import ApiError
from clients.outbox import Received
from core.clock import RunClock
from core.files import read_lines
from core.offset import ClockOffset
from core.waiting import wait_until
from probes import inside_collector
from probes.inside_collector import Collector
from probes.series import SeriesConfig
from slas.downtime import measure
from slas.timeline import Timeline

TOKEN = "a-token"
RATE = 100
# A clock that is far off, and drifts as much as one that is being slewed.
WRONG = {"skew_s": 7.3, "drift": 5e-4}
SERIES = "p/new@cluster"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Pods:
    """Both pods as processes, and what the collector needs of a cluster."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.ports: dict[str, int] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.target_port = free_port()
        self.jump_s = 0.0
        for name, module in (("agent", "probes.inside_agent"), ("target", "probes.inside_target")):
            self.ports[name] = free_port()
            file = folder / f"{name}.json"
            file.write_text(
                json.dumps(
                    {"token": TOKEN, "outbox_port": self.ports[name], "port": self.target_port, **settings}
                )
            )
            self.processes[name] = subprocess.Popen([sys.executable, "-m", module, str(file)])

    def get(self, resource: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        assert (resource, name, namespace) == ("secrets", "secret", "ns")
        return {"data": {"settings.json": base64.b64encode(json.dumps({"token": TOKEN}).encode()).decode()}}

    def proxy(
        self,
        pod: str,
        namespace: str,
        port: int,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[pod], timeout=timeout_s)
        try:
            connection.request(method, f"/{path}", body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            data = answer.read()
        except OSError as error:
            raise ApiError(f"{namespace}/{pod}:{port}", 0, str(error)) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise ApiError(f"{namespace}/{pod}:{port}", answer.status, data.decode())
        if path == "clock" and pod == "agent":
            said = json.loads(data)
            return json.dumps({**said, "clock_s": said["clock_s"] + self.jump_s}).encode()
        return data

    def answer(self) -> bool:
        for port in (*self.ports.values(), self.target_port):
            try:
                socket.create_connection(("127.0.0.1", port), 1.0).close()
            except OSError:
                return False
        return True

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


class Watch:
    """A collector at work in a thread."""

    def __init__(self, run_dir: Path, clock: RunClock, pods: Pods, url: str) -> None:
        self.run_dir, self.clock, self.pods = run_dir, clock, pods
        (run_dir / "samples").mkdir(exist_ok=True)
        config = SeriesConfig(series=SERIES, target="p", url=url, connection="new", rate=RATE)
        self.collector = Collector(
            {
                "run_dir": str(run_dir),
                "offset_s": clock.offset_s,
                "namespace": "ns",
                "agent": "agent",
                "target": "target",
                "secret": "secret",
                "series": [config.as_json()],
                "calibrated": ["calibration/new"],
            },
            pods,
        )
        self.error: BaseException | None = None
        self.collector.begin()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.collector.run()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.error = error

    def end(self) -> Timeline:
        self.collector.commands.put(None)
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self.error:
            raise self.error
        return Timeline.load(self.run_dir)

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in read_lines(self.run_dir / "events.jsonl") if event["kind"] == kind]


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    made = Pods(tmp_path, WRONG)
    try:
        wait_until("the pods to answer", made.answer, 20)
        yield made
    finally:
        made.end()


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def see_outages(run_dir: Path, clock: RunClock, pods: Pods, server: Any) -> tuple[Timeline, list[Any]]:
    """Have a server on the run's clock fail thrice while the skewed pod probes it."""
    child, url = server
    watch = Watch(run_dir, clock, pods, url)
    time.sleep(1.0)
    for _ in range(3):
        child.tell({"mode": "refused", "length_s": 0.15, "delay_s": 1.0})
    truths = child.wait_for("the outages", lambda: child.said()[1:] if len(child.said()) > 3 else None, 20)
    time.sleep(1.0)
    return watch.end(), truths


def assert_seen_in_place(timeline: Timeline, truths: list[Any]) -> None:
    """Each outage lies within one interval of the converted samples, widened by the stated bound."""
    start_s, end_s = truths[0]["start_s"] - 0.9, truths[-1]["end_s"] + 0.9
    bound_s = timeline.clock_error_s(SERIES, start_s, end_s)
    assert 0 < bound_s < 0.1
    seen = measure(
        {SERIES: timeline.samples[SERIES]},
        start_s=start_s,
        end_s=end_s,
        slow_s={SERIES: 0.25},
        rate={SERIES: RATE},
        placed_within_s={SERIES: bound_s},
    )
    assert len(seen.intervals) == len(truths)
    for interval, truth in zip(seen.intervals, truths, strict=True):
        assert interval.start_s <= truth["start_s"]
        assert truth["end_s"] <= interval.end_s
        assert (
            interval.upper_s <= truth["outer_end_s"] - truth["outer_start_s"] + 2 / RATE + 2 * bound_s + 0.02
        )
        assert interval.lower_s <= truth["end_s"] - truth["start_s"] + 0.005
        assert interval.lower_s > 0


def test_a_wrong_clock_is_found_out_and_its_bound_holds(
    run_dir: Path, clock: RunClock, pods: Pods, server: Any
) -> None:
    """Seconds of skew and a drift: what the pod saw lands on the run's clock within the bound it states."""
    timeline, truths = see_outages(run_dir, clock, pods, server)
    assert_seen_in_place(timeline, truths)
    stated = list(timeline.of_kind("probe.clock", vantage="cluster"))
    assert stated
    for event in stated:
        assert abs(event["offset_s"] - WRONG["skew_s"]) < 1.0 + WRONG["drift"] * time.monotonic()
    (ended,) = timeline.of_kind("probe.ended", series=SERIES)
    assert ended["vantage"] == "cluster"
    assert abs(ended["t"] - truths[-1]["end_s"]) < 5
    assert ended["coverage"] > 0.99
    assert len(timeline.samples[SERIES]) == ended["sent"]


@pytest.mark.parametrize("broken", ["uncorrected", "half a second off"])
def test_without_the_correction_the_outages_are_elsewhere(  # noqa: PLR0917
    run_dir: Path, clock: RunClock, pods: Pods, server: Any, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: with the conversion broken, what was seen is not where it was."""
    right = ClockOffset.ours
    monkeypatch.setattr(
        ClockOffset,
        "ours",
        lambda self, their_s: their_s if broken == "uncorrected" else right(self, their_s) + 0.5,
    )
    timeline, truths = see_outages(run_dir, clock, pods, server)
    with pytest.raises(AssertionError):
        assert_seen_in_place(timeline, truths)


@pytest.mark.parametrize("mode", ["refused", "reset", "stall", "503"])
def test_the_target_tells_the_truth_of_its_outage(  # noqa: PLR0917
    run_dir: Path, clock: RunClock, pods: Pods, sampler: Any, tmp_path: Path, mode: str
) -> None:
    """The runner's own probes of the pod see the outage where the converted truth says that it was."""
    url = f"http://127.0.0.1:{pods.target_port}/"
    child = sampler(url)
    watch = Watch(run_dir, clock, pods, url)
    watch.collector.commands.put({"id": "1", "mode": mode, "length_s": 0.4, "delay_s": 0.2})
    (truth,) = wait_until("the outage", lambda: watch.of_kind("calibration.outage"), 15)
    time.sleep(0.8)
    watch.end()
    child.stop(10)
    assert [event["series"] for event in watch.of_kind("calibration.armed")] == ["calibration/new"]
    assert truth["outer_start_s"] <= truth["start_s"] - truth["bound_s"]
    assert 0.4 <= truth["end_s"] - truth["start_s"] < 0.6
    samples = Timeline.load(tmp_path).samples["p/new"]
    found = measure(
        {"p/new": samples},
        start_s=truth["start_s"] - 0.4,
        end_s=truth["end_s"] + 0.4,
        slow_s={"p/new": 0.05},
        rate={"p/new": RATE},
    ).intervals
    # Before and after it this machine may stall by itself.
    (seen,) = [one for one in found if one.start_s < truth["end_s"] and one.end_s > truth["start_s"]]
    margin_s = truth["bound_s"] + 0.001
    assert seen.start_s <= truth["start_s"] + margin_s
    assert truth["end_s"] - margin_s <= seen.end_s + (0.05 if mode == "stall" else 0)


def test_a_pod_that_is_killed_is_lost_and_said_to_be(
    run_dir: Path, clock: RunClock, pods: Pods, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is an event, the collector goes on and ends in peace, and nothing is made up afterwards."""
    monkeypatch.setattr(inside_collector, "_LOST_AFTER_S", 0.5)
    watch = Watch(run_dir, clock, pods, server[1])
    wait_until("samples", lambda: list((run_dir / "samples").glob("*.parquet")), 10)
    killed_s = clock.now()
    pods.processes["agent"].send_signal(signal.SIGKILL)
    (lost,) = wait_until("the loss", lambda: watch.of_kind("probe.lost"), 10)
    assert lost["vantage"] == "cluster"
    watch.collector.commands.put({"id": "1", "mode": "reset", "length_s": 0.05, "delay_s": 0.0})
    wait_until("the other pod's outage", lambda: watch.of_kind("calibration.outage"), 10)
    timeline = watch.end()
    assert timeline.samples[SERIES].sent_s.max() < killed_s + 0.1
    assert not list(timeline.of_kind("probe.ended"))


def test_a_pod_ends_when_kubernetes_asks_and_hands_over_what_it_has(
    run_dir: Path, clock: RunClock, pods: Pods, server: Any
) -> None:
    """SIGTERM ends the sampler with its last samples and probe.ended, fetched before the process goes."""
    watch = Watch(run_dir, clock, pods, server[1])
    wait_until("samples", lambda: list((run_dir / "samples").glob("*.parquet")), 10)
    pods.processes["agent"].send_signal(signal.SIGTERM)
    (ended,) = wait_until(
        "the end", lambda: [e for e in watch.of_kind("probe.ended") if e["series"] == SERIES], 15
    )
    assert pods.processes["agent"].wait(15) == 0
    timeline = watch.end()
    assert len(timeline.samples[SERIES]) == ended["sent"]
    assert [event["vantage"] for event in timeline.of_kind("probe.lost")] == ["cluster"]


def test_a_clock_that_is_set_anew_makes_the_vantage_blind(
    run_dir: Path, clock: RunClock, pods: Pods, server: Any
) -> None:
    """Between the last exchange before the jump and the first one after it, no moment is certain."""
    watch = Watch(run_dir, clock, pods, server[1])
    time.sleep(1.0)
    pods.jump_s = 5.0
    jumped_s = clock.now()
    (blind,) = wait_until("a blind span", lambda: watch.of_kind("control.blind"), 10)
    pods.jump_s = 0.0
    watch.end()
    assert blind["vantage"] == "cluster"
    assert "set anew" in blind["reason"]
    assert blind["start_s"] < jumped_s + 0.1 < blind["end_s"] + 0.2
    assert any(event.get("stepped") for event in watch.of_kind("probe.clock"))


def test_batches_that_gave_way_are_a_blind_span(
    run_dir: Path, clock: RunClock, pods: Pods, server: Any
) -> None:
    """What was not fetched in time is an event and a span of blindness, never a quiet gap."""
    watch = Watch(run_dir, clock, pods, server[1])
    time.sleep(1.0)
    watch.end()
    collector = watch.collector
    before_s = collector._seen_s
    their_s = collector.agent.offset.offset_s + before_s + 3.0
    row = [SERIES, their_s, their_s, their_s + 0.001, "ok", "done", 200, "", "", "", False]
    collector._take(Received(records=[{"s": row}], missed=4))
    (gap,) = watch.of_kind("outbox.gap")
    assert gap["batches"] == 4
    blind = watch.of_kind("control.blind")[-1]
    assert blind["start_s"] <= before_s
    assert blind["end_s"] >= before_s + 3.0


def test_a_pod_stops_by_itself_when_nobody_asks(tmp_path: Path) -> None:
    """A sampler in a pod does not outlive its harness by more than half a minute."""
    code = (
        "import sys, runpy, probes.inside_agent as a; "
        "a._UNHEARD_S = 1.0; import uvloop; uvloop.run(a._main(a.settings_of(sys.argv[1])))"
    )
    port = free_port()
    file = tmp_path / "agent.json"
    file.write_text(json.dumps({"token": TOKEN, "outbox_port": port}))
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-c", code, str(file)], stderr=stream, env={**os.environ})
    try:
        pods = Pods.__new__(Pods)
        pods.ports, pods.jump_s, pods.target_port = {"agent": port}, 0.0, port
        wait_until("the pod to answer", pods.answer, 20)
        config = SeriesConfig(
            series=SERIES, target="p", url="http://127.0.0.1:9/", connection="new", rate=RATE
        )
        body = json.dumps({"id": "x", "series": [config.as_json()]}).encode()
        pods.proxy("agent", "ns", port, "start", method="POST", body=body, headers={"X-Verify-Token": TOKEN})
        wait_until("it to stop", lambda: "nothing heard of the harness" in log.read_text(), 10)
    finally:
        process.kill()
        process.wait()
