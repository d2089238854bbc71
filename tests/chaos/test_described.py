"""A scenario of a file against a cluster in memory: each fault at its time, whatever becomes of others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import httpx
import pytest
from fake_cluster import Workload
from front_door import FrontDoor

from chaos.fault import Evidence, Place
from chaos.registry import FAULTS
from chaos.targets import Target
from chaos.undo import Undo
from core.errors import InconclusiveError, SettingsError
from core.files import append_line, read_lines
from fixtures.chaos import bookkeeping
from fixtures.chaos.scenario_file import read_scenario
from fixtures.expecting import phases
from fixtures.scenario import Stage
from fixtures.scenarios import described
from fixtures.scenarios.described import Described
from fixtures.settings import load_settings
from reports.runs import RunStore


class Cordon:
    """A fault that lasts: it cordons a node until it is undone."""

    name: ClassVar[str] = "cordon"

    def __init__(self, place: Place, *, count: int = 1) -> None:
        self._place, self._count = place, count

    def select(self) -> Sequence[Target]:
        return [Target(namespace="", pod="", uid="u1", node="node1")] * self._count

    def undo(self) -> Sequence[Undo]:
        return [Undo(verb="uncordon", args={"node": "node1"})]

    def inject(self) -> None:
        self._place.cluster.patch("nodes", "node1", None, {"spec": {"unschedulable": True}})

    def prove(self, timeout_s: float) -> Evidence:
        return {"timeout_s": timeout_s}

    def prove_gone(self, timeout_s: float) -> Evidence:
        return {"timeout_s": timeout_s}

    def recovered(self, timeout_s: float) -> Evidence:
        return {"recovered_s": self._place.now(), "timeout_s": timeout_s}


LASTING = """
faults:
  - {fault: cordon, duration: DURATION}
expect:
  during: {downtime: 0s}
"""
HEAD = """
name: crash
reason: A process crashes.
promise: replicas
sets: [full]
subject: auth-service
"""
FAULT = "  - {{fault: pod_delete, at: {at}, target: {{selector: {selector}, count: 1}}}}\n"
EXPECT = "expect:\n  whole: {downtime: 0s}\n"


def faults(*moments: str, selector: str = "app=auth") -> str:
    return "faults:\n" + "".join(FAULT.format(at=at, selector=selector) for at in moments)


@dataclass
class Held:
    """The exclusive lease, as the experiments see it."""

    def check(self) -> None:
        """Find it held."""


@dataclass
class Played:
    """A stage of its own, and what it was told."""

    tmp_path: Path
    cluster: Workload = field(default_factory=lambda: Workload(replicas=6, lag_s=0.05))
    opened_s: list[float] = field(default_factory=list)
    door: FrontDoor = field(default_factory=FrontDoor)
    recovery_timeout_s: float = 5.0
    wait: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self.run = RunStore(self.tmp_path / "runs").create("lab", [], 7)
        settings = load_settings("lab")
        times = settings.scenarios.model_copy(update={"recovery_timeout_s": self.recovery_timeout_s})
        self.settings = settings.model_copy(update={"scenarios": times})
        self.namespace = self.settings.environment.namespace

    def url(self, _service: str) -> str:
        return "http://door"

    def play(self, text: str) -> dict[str, Any]:
        file = self.tmp_path / "crash.yaml"
        file.write_text(text)
        environment = cast("Any", _Environment(self))
        stage = Stage(
            environment=environment,
            lease=cast("Any", Held()),
            load=cast("Any", SimpleNamespace(load_id="l1")),
            recorder=cast("Any", None),
            wait=self.wait,
            open_window=lambda: self.opened_s.append(self.run.clock.now()),
        )
        return dict(Described(read_scenario(file)).act(stage))

    def moments(self, kind: str) -> list[float]:
        return [event["t"] for event in read_lines(self.run.events) if event["kind"] == kind]


class _Environment:
    """What a scenario uses of an environment."""

    def __init__(self, played: Played) -> None:
        self.run, self.settings, self.namespace = played.run, played.settings, played.namespace
        self.url = played.url
        self._cluster = played.cluster

    def cluster(self) -> Workload:
        return self._cluster


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    made = Played(tmp_path)
    monkeypatch.setattr(described, "front_door", lambda _url: made.door.client())
    return made


def test_faults_come_at_their_times_and_may_overlap(played: Played) -> None:
    """The second begins before the first one's recovery is over, and the phases span both."""
    start_s = played.run.clock.now()
    played.play(HEAD + faults("0s", "300ms") + EXPECT)
    first, second = sorted(played.moments("fault.injected"))
    assert 0.25 < second - first < 0.9
    recovered = played.moments("fault.recovered")
    assert len(recovered) == 2
    assert second < max(recovered)
    spans = phases(read_lines(played.run.events), (start_s, played.run.clock.now()))
    assert set(spans) == {"during", "recovery", "after"}
    assert len({event["fault_id"] for event in read_lines(played.run.events) if "fault_id" in event}) == 2


def test_a_fault_without_a_target_leaves_the_others_their_way(played: Played) -> None:
    """It is raised when they have ended: the scenario cannot be judged, and nothing is left half done."""
    text = HEAD + faults("0s") + faults("0s", selector="app=nobody").removeprefix("faults:\n") + EXPECT
    with pytest.raises(InconclusiveError, match="matches no pod"):
        played.play(text)
    assert len(played.moments("fault.recovered")) == 1
    assert len(played.moments("fault.failed")) == 1


def test_a_workload_that_does_not_come_back_is_a_finding(tmp_path: Path) -> None:
    """Nothing is raised: the timeline says it, and the checkers judge."""
    played = Played(tmp_path, recovery_timeout_s=0.5)
    played.cluster.rejoins = False
    played.play(HEAD + faults("0s") + EXPECT)
    assert len(played.moments("fault.unrecovered")) == 1


def test_the_window_lasts_as_long_as_the_file_says(played: Played) -> None:
    """Also when the faults are over earlier."""
    start_s = played.run.clock.now()
    played.play(HEAD + "window: 2s\n" + faults("0s") + EXPECT)
    assert played.run.clock.now() - start_s >= 2


def test_a_paired_span_without_the_fault_goes_before_what_is_judged(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judged window opens after it, and no fault is in it."""
    monkeypatch.setattr(described, "_PAIRED_S", 0.4)
    details = played.play(HEAD + "paired: true\n" + faults("0s") + EXPECT)
    assert details["paired"]["end_s"] - details["paired"]["start_s"] >= 0.4
    (opened_s,) = played.opened_s
    assert details["paired"]["end_s"] <= opened_s <= min(played.moments("fault.injected"))


def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ORDERS_PER_S", 50.0), ("PICKUPS_PER_S", 20.0), ("_SETTLE_S", 1.0)):
        monkeypatch.setattr(bookkeeping, name, value)


def test_the_books_are_kept_from_before_the_fault_until_after_the_recovery(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order is acknowledged before anything is hit, and all is read back after the last recovery."""
    _hurry(monkeypatch)
    played.play(HEAD + faults("0s") + EXPECT + "invariants: [no_acknowledged_order_lost, pickups_kept]\n")
    (injected_s,) = played.moments("fault.injected")
    (recovered_s,) = played.moments("fault.recovered")
    assert min(played.moments("order.acknowledged")) < injected_s
    (read_s,) = played.moments("orders.read")
    assert read_s > recovered_s
    assert "/auth/tenant" in played.door.removed


@pytest.mark.parametrize("spoil", ["front door", "selector"])
def test_nothing_is_hit_when_it_cannot_be_watched_or_is_the_harness(
    played: Played, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    """A front door that takes no order, a selector that matches the harness: before the first fault."""
    _hurry(monkeypatch)
    expected: tuple[type[Exception], str]
    if spoil == "front door":
        played.door.before = lambda _: httpx.Response(503)
        expected = (InconclusiveError, "nothing was done")
    else:
        played.cluster.pod("auth-1")["metadata"]["labels"]["ecochain.io/run"] = "x"
        expected = (SettingsError, "pods of the platform only")
    with pytest.raises(expected[0], match=expected[1]):
        played.play(HEAD + faults("0s") + EXPECT + "invariants: [pickups_kept]\n")
    assert played.moments("fault.selected") == []
    assert played.cluster.calls == []


def test_a_fault_waits_for_its_time(played: Played) -> None:
    """A fault at a later time has not begun before it."""
    start_s = played.run.clock.now()
    played.play(HEAD + faults("700ms") + EXPECT)
    assert min(played.moments("fault.injected")) - start_s >= 0.7


@pytest.fixture
def lasting(played: Played, monkeypatch: pytest.MonkeyPatch) -> Played:
    """Return a stage with a node, on which the fault `cordon` is known."""
    monkeypatch.setitem(cast("Any", FAULTS), "cordon", Cordon)
    played.cluster.put("nodes", {"metadata": {"name": "node1", "uid": "u1"}, "spec": {}})
    return played


def cordoned(played: Played) -> bool:
    node = played.cluster.get("nodes", "node1")
    assert node is not None
    return bool(node["spec"].get("unschedulable"))


def test_a_fault_that_lasts_is_held_and_undone(lasting: Played) -> None:
    """Its phase is as long as the file says, and an audit afterwards finds nothing."""
    lasting.play(HEAD + LASTING.replace("DURATION", "1s"))
    (injected_s,), (healed_s,) = lasting.moments("fault.injected"), lasting.moments("fault.healed")
    assert 1.0 <= healed_s - injected_s < 2.5
    assert not cordoned(lasting)
    (audit,) = [event for event in read_lines(lasting.run.events) if event["kind"] == "audit.ended"]
    assert audit["remainders"] == []
    assert "unseen" not in audit


def test_what_was_left_is_in_the_timeline(lasting: Played) -> None:
    """Something with a fault's label that nobody undoes; a node cordoned before is nobody's remainder."""
    lasting.cluster.put(
        "nodes", {"metadata": {"name": "node2", "uid": "u2"}, "spec": {"unschedulable": True}}
    )
    meta = {"name": "left", "namespace": "ecochain", "labels": {"ecochain.io/fault": "dns_failure"}}
    lasting.cluster.put("configmaps", {"metadata": meta})
    lasting.play(HEAD + LASTING.replace("DURATION", "100ms"))
    (audit,) = [event for event in read_lines(lasting.run.events) if event["kind"] == "audit.ended"]
    (left,) = audit["remainders"]
    assert "ecochain/left" in left


def test_an_interrupt_halts_and_undoes_every_fault_at_once(lasting: Played) -> None:
    """One is under way, one has not begun: the first is undone before its time, the other never comes."""
    waits = 0

    def interrupted(seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits > 4:
            raise KeyboardInterrupt
        time.sleep(seconds)

    lasting.wait = interrupted
    later = "  - {fault: pod_delete, at: 20s, target: {selector: app=auth}}\n"
    text = HEAD + LASTING.replace("DURATION", "25s").replace("expect:", later + "expect:")
    began_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        lasting.play(text)
    assert time.monotonic() - began_s < 10
    assert not cordoned(lasting)
    assert [call for call in lasting.cluster.calls if "pods" in call] == []
    assert len(lasting.moments("audit.ended")) == 1


def test_a_broken_bound_ends_a_fault_early(lasting: Played) -> None:
    """The load fails for long enough: the fault is undone, and its recovery is still watched."""
    began = lasting.run.clock.now()

    def failing(seconds: float) -> None:
        time.sleep(seconds)
        second = {"requests": 10, "failures": 10, "offered": 10, "span_s": 1.0, "load_id": "l1"}
        append_line(lasting.run.events, {"t": lasting.run.clock.now(), "kind": "load.second", **second})

    lasting.wait = failing
    abort = "abort: {sla: error_ratio, beyond: 50%, for: 1s}\n"
    text = HEAD + abort + LASTING.replace("DURATION", "20s")
    lasting.play(text)
    assert len(lasting.moments("fault.aborted")) == 1
    (healed_s,) = lasting.moments("fault.healed")
    assert healed_s - began < 10
    assert len(lasting.moments("fault.recovered")) == 1
    assert not cordoned(lasting)
