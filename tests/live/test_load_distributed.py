"""A load from pods of a real cluster: its record is on the run's clock, and a lost worker spoils it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.helm import Helm
from clients.kubernetes import Cluster
from core.clock import RunClock
from core.files import read_lines
from core.places import checkout
from core.waiting import wait_until
from fixtures import credentials
from fixtures.load_places import publish_agent
from fixtures.settings import load_settings
from lab import cluster as lab_cluster
from lab import images, stores, toolchain
from loadtests.cluster_load import ClusterLoad, Ground
from loadtests.settings import LoadSettings
from slas.loads import load_between
from slas.timeline import Timeline

NAMESPACE = "load-distributed"
TARGET = f"http://auth-service.{NAMESPACE}.svc:3000"
HOST = f"auth-service.{NAMESPACE}.svc"
SETTINGS = LoadSettings.steady(rate=60, duration_s=10, users=8, workers=2)


@pytest.fixture(scope="module")
def ground(test_lab: object) -> Iterator[Ground]:
    """Release auth-service and its stores into a namespace of their own, and push the agent's image."""
    name = str(test_lab.name)  # type: ignore[attr-defined]
    lab = lab_cluster.find(name)
    assert lab is not None
    cluster = lab.cluster()
    helm = Helm(program=toolchain.ensure(print).helm, kubeconfig=cluster.kubeconfig, context=cluster.context)
    charts = {store: stores.build(store) for store in ("ferretdb", "valkey")}
    charts["auth-service"] = images.build_image("auth-service", "1.0.0")
    lab.push(list(charts.values()))
    agent = publish_agent(name, print)
    settings = load_settings("lab")
    here = settings.environment.model_copy(update={"namespace": NAMESPACE})
    cluster.create("namespaces", {"metadata": {"name": NAMESPACE}})
    try:
        credentials.create(cluster, settings.model_copy(update={"environment": here}), {})
        for chart, image in charts.items():
            helm.upgrade_install(
                chart,
                checkout() / "helm/charts" / chart,
                namespace=NAMESPACE,
                timeout_s=90,
                values_files=[checkout() / f"helm/values/lab/{chart}.yaml"],
                values={"image": {"digest": image.digest}},
            )
        yield Ground(cluster=cluster, helm=helm, namespace=NAMESPACE, image=agent, labels={"test": "load"})
    finally:
        cluster.delete("namespaces", NAMESPACE)
        wait_until("the namespace to go", lambda: cluster.get("namespaces", NAMESPACE) is None, 90)


def make(run_dir: Path, ground: Ground, clock: RunClock, settings: LoadSettings = SETTINGS) -> ClusterLoad:
    run_dir.mkdir(exist_ok=True)
    return ClusterLoad(run_dir, clock, TARGET, settings, ground, allowed_hosts=[HOST], progress=print)


def left(cluster: Cluster) -> list[str]:
    return [
        f"{kind}/{one['metadata']['name']}"
        for kind in ("pods", "services", "configmaps", "secrets")
        for one in cluster.list(kind, NAMESPACE, labels="app.kubernetes.io/name=loadtest")
    ]


@pytest.mark.long
def test_two_workers_in_pods_leave_their_record_on_the_clock_of_the_run(
    tmp_path: Path, ground: Ground
) -> None:
    """Every request is a sample on the harness's clock, and nothing proves the load untrue."""
    # A clock that is an hour off the cluster's: what is not converted shows.
    clock = RunClock(offset_s=time.time() - time.monotonic() - 3600)
    before_s = clock.now()
    load = make(tmp_path / "run", ground, clock).start()
    try:
        load.wait_flowing(60)
        ended = wait_until("its end", lambda: load.result, 90)
    finally:
        load.stop()
    timeline = Timeline.load(tmp_path / "run")
    (end,) = timeline.of_kind("load.ended")
    found = load_between(timeline, end["start_s"], end["end_s"], load_id=load.load_id)
    assert (ended.succeeded, list(found.problems), ended.reason) == (True, [], "duration")
    assert found.requests == 600
    assert {int(second["workers"]) for second in found.seconds} == {2}
    assert before_s < end["start_s"] < end["end_s"] < clock.now()
    assert end["end_s"] - end["start_s"] == pytest.approx(10, abs=0.05)
    for columns in found.samples:
        assert (columns.sent_s >= columns.scheduled_s).all()
        assert (columns.finished_s > columns.sent_s).all()
    (said,) = timeline.of_kind("load.clock")
    assert said["offset_s"] == pytest.approx(3600, abs=1)
    assert 0 < said["bound_s"] < 0.1
    assert left(ground.cluster) == []
    record = "".join(path.read_text(errors="replace") for path in (tmp_path / "run").rglob("*.json*"))
    assert "token" not in record


@pytest.mark.long
def test_a_deleted_worker_makes_the_load_prove_nothing(tmp_path: Path, ground: Ground) -> None:
    """The others send on, no worker is started anew, and the end says which proof is missing."""
    clock = RunClock.start()
    load = make(
        tmp_path / "run", ground, clock, LoadSettings.steady(rate=60, duration_s=12, users=8, workers=2)
    )
    load.start()
    try:
        load.wait_flowing(60)
        ground.cluster.delete("pods", load.pods[1], NAMESPACE, grace_s=0)
        ended = wait_until("its end", lambda: load.result, 90)
    finally:
        load.stop()
    timeline = Timeline.load(tmp_path / "run")
    (end,) = timeline.of_kind("load.ended")
    found = load_between(timeline, end["start_s"], end["end_s"], load_id=load.load_id)
    assert not ended.succeeded
    assert ended.workers_lost == 1
    assert "the load lost 1 workers" in found.problems
    assert any("only 1 of 2 load workers" in problem for problem in found.problems)
    assert 0 < ended.requests < 720


@pytest.mark.long
def test_what_a_killed_harness_left_is_removed_by_the_next_load(tmp_path: Path, ground: Ground) -> None:
    """The master ends by itself when nobody asks it any more; the next load removes its release."""
    dead = make(tmp_path / "dead", ground, RunClock.start(), LoadSettings.steady(rate=5, duration_s=300))
    values = dead._values()
    chart = checkout() / "helm/charts/loadtest"
    ground.helm.upgrade_install(
        dead.load_id, chart, namespace=NAMESPACE, timeout_s=60, values=values, wait=False
    )
    phases = lambda: [pod["phase"] for pod in dead._pods()]  # noqa: E731
    wait_until(
        "the pods to end by themselves",
        lambda: len(phases()) == 2 and not {"Pending", "Running"} & set(phases()),
        120,
        last=phases,
    )
    quick = LoadSettings.steady(rate=20, duration_s=3, users=2, workers=1)
    load = make(tmp_path / "run", ground, RunClock.start(), quick).start()
    try:
        assert wait_until("its end", lambda: load.result, 60).succeeded
    finally:
        load.stop()
    assert left(ground.cluster) == []
    kinds = [line.get("kind") for line in read_lines(tmp_path / "run/ledger.jsonl") if line["op"] == "open"]
    assert kinds[0] == "release"
