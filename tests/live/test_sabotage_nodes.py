"""The suite of the nodes looks into each machine: every defect of a node turns exactly its test red."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sabotage import PLATFORM, Copy, Ended

from clients.kubernetes import Cluster
from core.places import checkout
from core.processes import run
from lab import cluster as lab_cluster
from lab.cluster import Lab
from lab.components import PAUSE_IMAGE, Tuning
from lab.plan import Machine

pytestmark = pytest.mark.long

NAME = "nodes"
SUITE = "suites/acceptance/nodes"
NAMESPACE = "ecochain"
KEY = "-----BEGIN PRIVATE KEY-----\n"
# What a node says of itself stays as a test has changed it: the kubelet corrects it every ten seconds else.
QUIET = {"nodeStatusUpdateFrequency": "20m", "nodeStatusReportFrequency": "20m"}
TRUSTING = {"readOnlyPort": 10255, "authorization": {"mode": "AlwaysAllow"}}


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """A lab of its own, and a copy of the suite that looks at it."""

    lab: Lab
    copy: Copy
    url: str

    @property
    def cluster(self) -> Cluster:
        return self.lab.cluster()

    @property
    def worker(self) -> Machine:
        return self.lab.plan.workers[0]

    @property
    def ai_worker(self) -> Machine:
        [found] = [machine for machine in self.lab.plan.workers if machine.workload]
        return found

    def within(self, *argv: str) -> None:
        """Run a command on the first node."""
        run(self.lab.running(self.worker.name).inside(*argv), timeout_s=20)

    def verify(self) -> tuple[Ended, set[str]]:
        """Run the suite; return how it ended and which tests failed."""
        ended = self.copy.run("-m", "pytest", SUITE, "--env=lab", f"--url={self.url}")
        [judged] = json.loads((ended.run.path / "verdicts.json").read_text())["verdicts"]
        assert judged["subject"] == "nodes", ended.output
        assert not judged["evidence"]["inconclusive"], ended.output
        return ended, {name.rpartition("::")[2] for name in judged["evidence"]["failed"]}


class Answer(BaseHTTPRequestHandler):
    """A front door that answers: the suite asks for one, and these tests need no more of it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give the address of a front door."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def nodes_of(url: str, folder: Path, kubelet: dict[str, Any]) -> Iterator[Nodes]:
    """Start the lab with these settings of its kubelets, and take it down."""
    lab_cluster.down(NAME)
    lab = lab_cluster.up(NAME, nodes=3, tuning=Tuning(kubelet=kubelet))
    try:
        lab.cluster().create("namespaces", {"metadata": {"name": NAMESPACE}})
        copy = Copy.make(folder / "copy", NAME, services=PLATFORM)
        yield Nodes(lab=lab, copy=copy, url=url)
    finally:
        lab_cluster.down(NAME)


@pytest.fixture(scope="module")
def nodes(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Give nodes as they should be."""
    with nodes_of(url, tmp_path_factory.mktemp("nodes"), QUIET) as made:
        yield made


@contextmanager
def mode(file: Path, wrong: int) -> Iterator[None]:
    right = file.stat().st_mode & 0o7777
    file.chmod(wrong)
    try:
        yield
    finally:
        file.chmod(right)


@contextmanager
def kubelets_key_open(nodes: Nodes) -> Iterator[None]:
    with mode(nodes.worker.folder / "kubelet.kubeconfig", 0o644):
        yield


@contextmanager
def serving_key_of_another(nodes: Nodes) -> Iterator[None]:
    config = json.loads((nodes.worker.folder / "kubelet.json").read_text())
    file = Path(config["tlsPrivateKeyFile"])
    shutil.chown(file, "nobody")
    try:
        yield
    finally:
        shutil.chown(file, "root")


@contextmanager
def kubelets_settings_open(nodes: Nodes) -> Iterator[None]:
    with mode(nodes.worker.folder / "kubelet.json", 0o666):
        yield


@contextmanager
def containerds_settings_open(nodes: Nodes) -> Iterator[None]:
    with mode(nodes.worker.folder / "containerd.toml", 0o664):
        yield


@contextmanager
def forgotten_key(nodes: Nodes) -> Iterator[None]:
    file = nodes.worker.folder / "backup.txt"
    file.write_text(KEY)
    file.chmod(0o644)
    try:
        yield
    finally:
        file.unlink()


@contextmanager
def containerds_socket_open(nodes: Nodes) -> Iterator[None]:
    socket = "/run/containerd/containerd.sock"
    nodes.within("chmod", "0666", socket)
    try:
        yield
    finally:
        nodes.within("chmod", "0660", socket)


@contextmanager
def another_runtime(nodes: Nodes) -> Iterator[None]:
    path = nodes.cluster.path("nodes", name=nodes.worker.name)
    before = nodes.cluster.request("GET", path)["status"]["nodeInfo"]["containerRuntimeVersion"]

    def say(version: str) -> None:
        body = {"status": {"nodeInfo": {"containerRuntimeVersion": version}}}
        merge = "application/merge-patch+json"
        nodes.cluster.request("PATCH", f"{path}/status", body=body, content_type=merge)

    say("docker://29.0.0")
    try:
        yield
    finally:
        say(before)


@contextmanager
def stranger_on_the_ai_node(nodes: Nodes) -> Iterator[None]:
    meta = {"name": "stranger", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/instance": "api"}}
    spec = {
        "nodeName": nodes.ai_worker.name,
        "automountServiceAccountToken": False,
        "containers": [{"name": "stranger", "image": PAUSE_IMAGE}],
    }
    nodes.cluster.create("pods", {"metadata": meta, "spec": spec})
    try:
        yield
    finally:
        nodes.cluster.delete("pods", "stranger", NAMESPACE, grace_s=0)


SABOTAGE: dict[Callable[[Nodes], Any], str] = {
    kubelets_key_open: "test_the_kubelets_keys_are_roots_alone",
    serving_key_of_another: "test_the_kubelets_keys_are_roots_alone",
    kubelets_settings_open: "test_a_nodes_settings_are_roots_alone_to_write",
    containerds_settings_open: "test_a_nodes_settings_are_roots_alone_to_write",
    forgotten_key: "test_no_key_beside_them_is_readable_by_others",
    containerds_socket_open: "test_containerd_takes_orders_from_root_alone",
    another_runtime: "test_every_node_runs_containerd",
    stranger_on_the_ai_node: "test_vision_has_the_ai_nodes_for_itself",
}
BY_ITS_SETTINGS = "test_no_kubelet_lets_the_unknown_in"


def test_sound_nodes_pass(nodes: Nodes) -> None:
    """Nothing is red, inconclusive or left out."""
    ended, red = nodes.verify()
    assert red == set(), ended.output
    assert ended.status == 0, ended.output
    assert "skipped" not in ended.output


@pytest.mark.parametrize("defect", SABOTAGE, ids=lambda defect: str(defect.__name__))
def test_a_defect_of_a_node_turns_exactly_its_test_red(nodes: Nodes, defect: Callable[[Nodes], Any]) -> None:
    """And no other one of the suite."""
    with defect(nodes):
        ended, red = nodes.verify()
    assert red == {SABOTAGE[defect]}, ended.output
    assert ended.status == 1, ended.output


def test_kubelets_that_trust_anybody_turn_their_test_red(url: str, tmp_path: Path) -> None:
    """A port that asks nobody who he is, and no question of what he may do; on a lab that was so started."""
    with nodes_of(url, tmp_path, {**QUIET, **TRUSTING}) as trusting:
        ended, red = trusting.verify()
    assert red == {BY_ITS_SETTINGS}, ended.output


def test_each_test_of_the_nodes_has_a_defect() -> None:
    """None is there without having been seen red."""
    text = (checkout() / SUITE / "test_nodes.py").read_text()
    written = {line[4:].partition("(")[0] for line in text.splitlines() if line.startswith("def test_")}
    assert written == {*SABOTAGE.values(), BY_ITS_SETTINGS}
