"""Faults that last until they are undone: whatever happens meanwhile, they are."""

from __future__ import annotations

import time

import pytest

from chaos.cluster_ledger import ClusterLedger
from chaos.healer import Healer
from chaos.ledger import Ledger
from chaos.phases import PAUSE_AT
from clients.kubernetes import ApiError
from core.errors import EnvironmentFailedError, InconclusiveError, RefusedError
from tests.chaos.lasting import NODE, Cordon, Events, Held, cluster_with_node, cordoned, disturbance, play


@pytest.fixture
def cluster():
    return cluster_with_node()


def outstanding(cluster, folder):
    """Return what is open in either ledger."""
    return [*ClusterLedger(cluster).outstanding(), *Ledger(folder / "ledger.jsonl", time.time).outstanding()]


def test_it_is_in_both_ledgers_before_it_is_done_and_in_none_after(cluster, tmp_path):
    """What undoes it is written first, as data; the events come in the order of the phases."""
    seen = []
    events = Events()
    fault = Cordon(cluster, during=lambda: seen.extend(outstanding(cluster, tmp_path)))
    play(fault, cluster, tmp_path, events=events)
    in_cluster, in_run = seen
    assert in_cluster.undo[0].as_json() == in_run["undo"][0] == {"verb": "uncordon", "node": NODE}
    assert in_cluster.fault_id == in_run["fault_id"]
    assert events.kinds == ["selected", "injected", "proved", "healing", "healed", "gone", "recovered"]
    assert not cordoned(cluster)
    assert outstanding(cluster, tmp_path) == []


def test_one_without_effect_is_inconclusive_and_undone(cluster, tmp_path):
    """It is not proved, so nothing is concluded; nothing is left open."""
    events = Events()
    with pytest.raises(InconclusiveError, match="not seen landing"):
        play(Cordon(cluster, effective=False), cluster, tmp_path, events=events)
    assert events.kinds == ["selected", "injected", "failed", "healing", "healed", "gone"]
    assert outstanding(cluster, tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug")])
def test_it_is_undone_whatever_is_raised(cluster, tmp_path, error):
    """Ctrl-C and a fault's own bug included."""

    def fail():
        raise error

    with pytest.raises(type(error)):
        play(Cordon(cluster, during=fail), cluster, tmp_path)
    assert not cordoned(cluster)
    assert outstanding(cluster, tmp_path) == []


def test_it_lasts_its_time(cluster, tmp_path):
    """It holds as long as was asked, and is there meanwhile."""
    started_s = time.monotonic()
    seen = []
    play(
        Cordon(cluster),
        cluster,
        tmp_path,
        duration_s=0.6,
        aborted=lambda: seen.append(cordoned(cluster)),
    )
    assert time.monotonic() - started_s >= 0.6
    assert len(seen) >= 2
    assert all(seen)


def test_a_stop_ends_it_at_once_and_nothing_is_concluded(cluster, tmp_path):
    """The reason is in the error, and the fault is undone."""
    looks = iter([None, None, "somebody said so"])
    with pytest.raises(InconclusiveError, match="stopped: somebody said so"):
        play(Cordon(cluster), cluster, tmp_path, duration_s=30, stopped=lambda: next(looks))
    assert not cordoned(cluster)


def test_a_stop_before_it_touches_nothing(cluster, tmp_path):
    """Who stopped before a fault does not see it begin."""
    with pytest.raises(InconclusiveError, match="stopped"):
        play(Cordon(cluster), cluster, tmp_path, stopped=lambda: "the file is there")
    assert cluster.calls == []


def test_an_abort_ends_it_early_and_its_recovery_is_watched(cluster, tmp_path):
    """A broken bound is a finding, not a reason to know nothing."""
    events = Events()
    looks = iter([None, "error ratio 0.7, beyond 0.5"])
    started_s = time.monotonic()
    play(Cordon(cluster), cluster, tmp_path, duration_s=30, aborted=lambda: next(looks), events=events)
    assert time.monotonic() - started_s < 5
    assert "aborted" in events.kinds
    assert events.kinds[-1] == "recovered"


def test_a_fault_that_a_node_has_undone_before_its_time_proves_nothing(cluster, tmp_path):
    """Its agent died, or had not heard of the harness: what is measured from then on is of no fault."""
    events = Events()
    looks = iter([None, "act one: node n1 does not have it open any more"])
    with pytest.raises(InconclusiveError, match="undone before its time: act one"):
        play(Cordon(cluster), cluster, tmp_path, duration_s=30, undone=lambda: next(looks), events=events)
    assert events.fields[events.kinds.index("healed")]["by"] == "node"
    assert not cordoned(cluster)
    assert outstanding(cluster, tmp_path) == []


def test_a_missing_permission_is_named_before_anything_is_touched(cluster, tmp_path):
    """The right that is missing stands in the error; no ledger, no act."""
    cluster.denied = {"patch nodes"}
    with pytest.raises(RefusedError, match="missing patch nodes"):
        play(Cordon(cluster), cluster, tmp_path)
    assert cluster.calls == []
    assert outstanding(cluster, tmp_path) == []


def test_what_could_not_be_undone_stays_open(cluster, tmp_path, monkeypatch):
    """The ledgers keep it for the watchdog and for `verify heal`."""
    fault = Cordon(cluster)
    monkeypatch.setattr(fault, "prove_gone", Cordon(cluster, effective=False).prove)
    with pytest.raises(InconclusiveError):
        play(fault, cluster, tmp_path)
    assert len(outstanding(cluster, tmp_path)) == 2


def test_one_that_the_watchdog_undid_concludes_nothing(cluster, tmp_path):
    """The harness was not heard for a while and does not know it: the ledger says so."""
    books = ClusterLedger(cluster)

    def undone():
        (entry,) = books.outstanding()
        books.healed(entry.fault_id, "watchdog w")

    events = Events()
    with pytest.raises(InconclusiveError, match="was undone by watchdog w"):
        play(Cordon(cluster, during=undone), cluster, tmp_path, duration_s=30, events=events)
    assert {"fault": "cordon", "by": "watchdog w"}.items() <= events.fields[3].items()
    assert outstanding(cluster, tmp_path) == []


@pytest.mark.parametrize("lost", ["lease", "heartbeat"])
def test_a_lost_lease_ends_it(cluster, tmp_path, lost):
    """Another run may hold the environment then, or the watchdog be about to undo it."""
    looks = iter([None, None])

    class Lost(Held):
        def check(self):
            if next(looks, "over") == "over":
                raise EnvironmentFailedError("not held")

    with pytest.raises(EnvironmentFailedError, match="not held"):
        play(Cordon(cluster), cluster, tmp_path, duration_s=30, **{lost: Lost()})
    assert not cordoned(cluster)
    assert outstanding(cluster, tmp_path) == []


def test_a_fault_that_takes_the_api_away_is_held_without_asking_it(cluster, tmp_path, monkeypatch):
    """Its leases cannot be renewed meanwhile, and that is its own doing."""
    monkeypatch.setattr(Cordon, "cuts_api", True, raising=False)

    class Cut(Held):
        checks = 0

        def check(self):
            self.checks += 1

    heartbeat = Cut()
    play(Cordon(cluster), cluster, tmp_path, duration_s=1.2, heartbeat=heartbeat)
    assert heartbeat.checks == 1


def test_a_second_interrupt_leaves_it_not_half_undone(cluster, tmp_path, monkeypatch):
    """The healing is done again, and then the interrupt goes on."""
    healings = []
    whole = Healer.heal

    def heal(self, steps):
        healings.append(1)
        if len(healings) == 1:
            raise KeyboardInterrupt
        whole(self, steps)

    monkeypatch.setattr(Healer, "heal", heal)
    with pytest.raises(KeyboardInterrupt):
        play(Cordon(cluster), cluster, tmp_path)
    assert not cordoned(cluster)
    # Its end was not seen by anybody, so the ledgers keep it: undoing it again is harmless.
    assert len(outstanding(cluster, tmp_path)) == 2


def test_several_overlap_and_each_is_undone_by_itself(cluster, tmp_path):
    """The one that began first may end first."""
    cluster.put("nodes", {"metadata": {"name": "node2", "uid": "u2"}, "spec": {}})
    one, two = (disturbance(Cordon(cluster, node=node), cluster, tmp_path) for node in (NODE, "node2"))
    for made in (one, two):
        made.prepare()
        made.begin()
    assert len(outstanding(cluster, tmp_path)) == 4
    one.end()
    assert [cordoned(cluster, node) for node in (NODE, "node2")] == [False, True]
    two.end()
    assert not cordoned(cluster, "node2")
    assert outstanding(cluster, tmp_path) == []


def test_a_fault_that_was_not_recorded_is_not_injected(cluster, tmp_path, monkeypatch):
    """Without its entry in the cluster nobody could undo it."""

    def refuse(_self, entry):
        raise ApiError(f"POST {entry.fault_id}", 403, "forbidden")

    monkeypatch.setattr(ClusterLedger, "open", refuse)
    injected = []
    with pytest.raises(ApiError, match="forbidden"):
        play(Cordon(cluster, during=lambda: injected.append(1)), cluster, tmp_path)
    assert injected == []


@pytest.mark.parametrize("phase", ["selected", "recorded", "injected", "proved", "healing"])
def test_a_harness_that_is_to_be_killed_in_a_phase_waits_there(cluster, tmp_path, monkeypatch, phase):
    """The environment variable names the phase, and an event says that it is reached."""
    monkeypatch.setenv(PAUSE_AT, phase)
    monkeypatch.setattr("chaos.phases._PAUSE_S", 0.0)
    events = Events()
    play(Cordon(cluster), cluster, tmp_path, events=events)
    before = {"selected": "selected", "recorded": "selected"}.get(phase, phase)
    assert events.kinds[events.kinds.index("paused") - 1] == before


def test_what_was_not_undone_is_told_before_what_led_to_it(cluster, tmp_path, monkeypatch):
    """An end that was merely not seen is a note on the first error."""

    def proof(_self, timeout_s):
        raise InconclusiveError(f"not seen in {timeout_s:g} s")

    fault = Cordon(cluster)
    monkeypatch.setattr(Cordon, "prove", proof)
    monkeypatch.setattr(fault, "prove_gone", lambda _: proof(None, 9.0))
    with pytest.raises(InconclusiveError, match=r"not seen in 0\.2 s") as caught:
        play(fault, cluster, tmp_path)
    assert caught.value.__notes__ == ["not seen in 9 s"]

    def fail(_self, _steps):
        raise EnvironmentFailedError("not undone")

    monkeypatch.setattr(Healer, "heal", fail)
    with pytest.raises(EnvironmentFailedError, match="not undone"):
        play(Cordon(cluster), cluster, tmp_path)
