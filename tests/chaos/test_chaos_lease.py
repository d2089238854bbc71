"""The exclusive lease, on a cluster in memory."""

from __future__ import annotations

import threading
import time

import pytest
from fake_cluster import FakeCluster

from chaos.lease import ExclusiveLease
from core.errors import EnvironmentFailedError, WaitTimeoutError
from core.waiting import wait_until


def lease(cluster: FakeCluster, holder: str, ttl_s: float = 1.0) -> ExclusiveLease:
    return ExclusiveLease(cluster, "ecochain", "exclusive", holder, ttl_s)


def stored(cluster: FakeCluster) -> dict:
    return cluster.objects["leases", "ecochain", "exclusive"]


def test_two_holders_never_overlap() -> None:
    """Of many that want it at once, each is alone inside."""
    cluster, inside, overlaps, entries = FakeCluster(), [], [], []

    def work(name: str) -> None:
        for _ in range(3):
            with lease(cluster, name).acquire(20):
                inside.append(name)
                entries.append(name)
                time.sleep(0.02)
                overlaps.append(len(inside) > 1)
                inside.remove(name)

    threads = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries) == 9
    assert not any(overlaps)


def test_the_same_name_twice_is_two_holders() -> None:
    """A second thread of one run does not slip in under the run's name."""
    cluster = FakeCluster()
    with (
        lease(cluster, "run-1").acquire(1),
        pytest.raises(WaitTimeoutError, match="held by run-1/"),
    ):
        lease(cluster, "run-1").acquire(0.3)


def test_a_held_lease_is_kept_beyond_its_duration() -> None:
    """The heartbeat renews it, so a waiting holder does not get it."""
    cluster = FakeCluster()
    with lease(cluster, "one").acquire(1) as held:
        with pytest.raises(WaitTimeoutError):
            lease(cluster, "two").acquire(2.2)
        held.check()


def test_a_dead_holders_lease_is_taken_over_after_its_duration() -> None:
    """Its heartbeat stopped: once unchanged for its duration it is another's, and not before."""
    cluster = FakeCluster()
    dead = lease(cluster, "dead").acquire(1)
    dead._stop.set()
    time.sleep(0.4)
    started = time.monotonic()
    with lease(cluster, "heir").acquire(5) as heir:
        waited_s = time.monotonic() - started
        heir.check()
        assert stored(cluster)["spec"]["leaseTransitions"] == 1
    assert 1.0 <= waited_s < 2.0
    with pytest.raises(EnvironmentFailedError, match="not renewed"):
        dead.check()


def test_a_lease_taken_away_is_noticed_and_not_given_back() -> None:
    """The former holder's check raises with the successor's name, and its release leaves the successor's."""
    cluster = FakeCluster()
    held = lease(cluster, "robbed").acquire(1)
    theirs = cluster.get("leases", "exclusive", "ecochain")
    theirs["spec"]["holderIdentity"] = "robber"
    cluster.replace("leases", theirs)

    def lost() -> str | None:
        try:
            held.check()
        except EnvironmentFailedError as error:
            return str(error)
        return None

    assert "taken by robber" in wait_until("the loss", lost, 3)
    held.release()
    assert stored(cluster)["spec"]["holderIdentity"] == "robber"


def test_a_silent_api_makes_the_lease_uncertain_after_its_duration() -> None:
    """Whoever cannot renew must assume that another holds it, but a short silence is forgiven."""
    cluster = FakeCluster()
    held = lease(cluster, "one").acquire(1)
    cluster.down = True
    time.sleep(0.4)
    held.check()
    time.sleep(1.0)
    with pytest.raises(EnvironmentFailedError, match="not renewed"):
        held.check()
    cluster.down = False
    wait_until("the renewal", lambda: _held(held), 3)
    held.release()


def _held(held: ExclusiveLease) -> bool:
    try:
        held.check()
    except EnvironmentFailedError:
        return False
    return True


def test_release_is_idempotent_and_frees_at_once() -> None:
    """The next holder need not wait for any expiry."""
    cluster = FakeCluster()
    first = lease(cluster, "first", ttl_s=30).acquire(1)
    first.release()
    first.release()
    started = time.monotonic()
    with lease(cluster, "second", ttl_s=30).acquire(5):
        assert time.monotonic() - started < 1
    with pytest.raises(EnvironmentFailedError, match="not held"):
        first.check()


def test_a_failed_release_is_reported_and_no_heartbeat_survives() -> None:
    """No thread is left renewing a lease that its owner has finished with."""
    cluster = FakeCluster()
    held = lease(cluster, "one").acquire(1)
    cluster.down = True
    with pytest.raises(EnvironmentFailedError, match="connection refused"):
        held.release()
    assert not [t for t in threading.enumerate() if t.name == "lease-exclusive"]


def test_a_rival_between_the_look_and_the_grab_wins() -> None:
    """Taking a free lease is a compare-and-swap: what changed since the look is not overwritten."""

    class Racing(FakeCluster):
        armed = False

        def get(self, resource: str, name: str, namespace: str | None = None) -> dict | None:
            seen = super().get(resource, name, namespace)
            if self.armed:
                self.armed = False
                rivals = super().get(resource, name, namespace)
                rivals["spec"]["holderIdentity"] = "rival"
                self.replace(resource, rivals)
            return seen

    cluster = Racing()
    lease(cluster, "first").acquire(1).release()
    cluster.armed = True
    with pytest.raises(WaitTimeoutError, match="rival"):
        lease(cluster, "late").acquire(0.5)
    assert stored(cluster)["spec"]["holderIdentity"] == "rival"
