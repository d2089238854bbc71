"""Kills by the nodes' agents, once and again, and containers that are frozen."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from chaos.answering import Answering
from clients.kubernetes import ApiError
from core.errors import InconclusiveError, RefusedError
from tests.chaos.fake_nodes import NodeCluster, make, place, play
from tests.chaos.lasting import Events

SELECTOR = "app=auth"


@pytest.fixture
def cluster() -> NodeCluster:
    return NodeCluster()


def test_a_kill_is_the_agents_where_there_are_agents(cluster: NodeCluster, tmp_path: Path) -> None:
    """The act names the container by its full id, on the node that it is on."""
    where = place(cluster)
    done = play(make("container_kill", where, selector=SELECTOR), where, tmp_path)
    (act,) = where.agents.told
    assert (act.kind, act.node, act.container_id) == (
        "signal_container",
        done.targets[0].node,
        done.targets[0].container_id,
    )


def test_a_container_that_has_ended_already_is_inconclusive(cluster: NodeCluster, tmp_path: Path) -> None:
    """An agent that finds no process of it did not kill it."""
    where = place(cluster)

    def refuse(_act: object) -> None:
        raise RefusedError("no process of it on this node")

    where.agents.begin = refuse  # type: ignore[method-assign, union-attr, assignment]
    with pytest.raises(InconclusiveError, match="could not be killed: no process"):
        play(make("container_kill", where, selector=SELECTOR), where, tmp_path)


def repeated(cluster: NodeCluster, folder: Path, **more: float) -> tuple[list, Events]:
    """Kill for most of a second and return the proof of each kill."""
    events = Events()
    where = place(cluster)
    asked = {"duration_s": 0.8, "interval_s": 0.2, **more}
    play(make("container_kill_repeated", where, selector=SELECTOR, **asked), where, folder, events=events)
    return events.fields[events.kinds.index("proved")]["evidence"]["kills"], events


def test_each_kill_of_a_series_is_proved(cluster: NodeCluster, tmp_path: Path) -> None:
    """Each has its restart, of the container that the one before it had started."""
    kills, events = repeated(cluster, tmp_path)
    (name,) = kills[0]["containers"]
    shown = [kill["containers"][name] for kill in kills]
    assert len(shown) >= 2
    assert [one["restarts"] for one in shown] == [[n, n + 1] for n in range(len(shown))]
    assert [one["running"] for one in shown[:-1]] == [one["killed"] for one in shown[1:]]
    assert {one["exit_code"] for one in shown} == {137}
    assert events.kinds[-1] == "recovered"


def test_the_seed_decides_the_intervals(cluster: NodeCluster, tmp_path: Path) -> None:
    """Two series of one seed have their kills at the same distances, as far as the kubelet lets them."""

    def distances(seed_cluster: NodeCluster, folder: Path) -> list[float]:
        times = [kill["killed_s"] for kill in repeated(seed_cluster, folder, interval_s=0.35)[0]]
        return [later - sooner for sooner, later in pairwise(times)]

    first = distances(cluster, tmp_path)
    assert first == pytest.approx(distances(NodeCluster(), tmp_path), abs=0.08)


def test_a_kill_of_a_series_that_is_not_seen_is_inconclusive(cluster: NodeCluster, tmp_path: Path) -> None:
    """The second kill without effect is named, though the first was proved."""
    where = place(cluster)
    begin = where.agents.begin  # type: ignore[union-attr]

    def once(act: object) -> object:
        told = begin(act)  # type: ignore[arg-type]
        cluster.obeys = False
        return told

    where.agents.begin = once  # type: ignore[method-assign, union-attr, assignment]
    fault = make("container_kill_repeated", where, selector=SELECTOR, duration_s=0.6, interval_s=0.2)
    with pytest.raises(InconclusiveError, match="not seen landing: kill 2"):
        play(fault, where, tmp_path, timeout_s=0.2)


def test_an_interval_as_long_as_the_series_is_refused(cluster: NodeCluster) -> None:
    """One kill is no series."""
    with pytest.raises(RefusedError, match="interval: expected 0 < seconds < its duration of 10, got 10"):
        make(
            "container_kill_repeated", place(cluster), selector=SELECTOR, duration_s=10, interval_s=10
        ).select()


def test_a_frozen_container_that_answers_is_no_proof(cluster: NodeCluster) -> None:
    """Stopped processes are half of it: somebody has to be left waiting."""
    where = place(cluster)
    fault = make("container_freeze", where, selector=SELECTOR)
    fault.select()
    fault.inject()
    cluster.proxy = lambda *_, **__: b"ok"  # type: ignore[method-assign]
    with pytest.raises(InconclusiveError, match="answers"):
        fault.prove(0.1)


def test_without_a_port_a_freeze_is_proved_by_a_pod_that_is_not_ready(cluster: NodeCluster) -> None:
    """Its node shows the states, and its own probe of whatever kind that nobody answers."""
    for name in ("auth-1", "auth-2", "auth-3"):
        del cluster.pod(name)["spec"]["containers"][0]["readinessProbe"]
    fault = make("container_freeze", place(cluster), selector=SELECTOR)
    target = fault.select()[0]
    fault.inject()
    with pytest.raises(InconclusiveError, match="still Ready"):
        fault.prove(0.1)
    cluster.set_ready(target.pod, False)
    shown = fault.prove(1)["pods"][target.pod]  # type: ignore[index]
    assert shown == {"states": ["T"], "silence": "its pod is not Ready"}


def test_a_container_that_its_kubelet_restarted_has_ended_its_freeze(cluster: NodeCluster) -> None:
    """A liveness probe that gave up has ended it early; the evidence says so."""
    where = place(cluster)
    fault = make("container_freeze", where, selector=SELECTOR)
    target = fault.select()[0]
    fault.inject()
    fault.prove(1)
    cluster.kill_container(target.node, target.container_id)
    time.sleep(2 * cluster.lag_s)
    shown = fault.prove_gone(1)["pods"][target.pod]  # type: ignore[attr-defined]
    assert shown == {"states": ["S"], "restarted": True}


def test_a_pod_that_did_not_answer_before_is_not_frozen(cluster: NodeCluster) -> None:
    """A container that was silent already would prove anything."""
    where = place(cluster)
    fault = make("container_freeze", where, selector=SELECTOR)
    cluster.frozen.add(fault.select()[0].container_id)
    with pytest.raises(InconclusiveError, match="before it was touched"):
        fault.inject()
    assert where.agents.told == []


def test_a_container_is_asked_at_the_port_of_its_probes() -> None:
    """HTTP rather than TCP, a named port by its number, and a port alone where there is no probe."""
    meta = {"name": "p", "namespace": "n"}

    def asked(**spec: object) -> tuple[int, str, bool] | None:
        pod = {"metadata": meta, "spec": {"containers": [{"name": "it", **spec}]}}
        found = Answering.of(pod, "it")
        return (found.port, found.path, found.http) if found else None

    ports = [{"name": "web", "containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]
    http = {"httpGet": {"port": "web", "path": "/live"}}
    assert asked(ports=ports, readinessProbe={"tcpSocket": {"port": 81}}, livenessProbe=http) == (
        80,
        "live",
        True,
    )
    assert asked(readinessProbe={"tcpSocket": {"port": 81}}) == (81, "", False)
    assert asked(ports=ports, readinessProbe={"exec": {"command": ["true"]}}) == (80, "", False)
    assert asked(ports=ports[1:]) is None


def test_what_does_not_speak_http_answers_by_ending_the_exchange(cluster: NodeCluster) -> None:
    """A closed connection is an answer of one that is not known to speak HTTP; no end in time is none."""

    def silence(*, http: bool, status: int) -> str | None:
        def fail(*_: object, **__: object) -> bytes:
            raise ApiError("GET", status, "EOF")

        cluster.proxy = fail  # type: ignore[method-assign]
        return Answering(pod="p", namespace="n", port=1, path="", http=http).silence(cluster)  # type: ignore[arg-type]

    assert silence(http=False, status=502) is None
    assert silence(http=True, status=502)
    assert silence(http=True, status=404) is None
    assert silence(http=False, status=0)
