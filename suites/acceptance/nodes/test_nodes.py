"""The nodes: whom the kubelet lets in, what runs, who may read its keys, and where vision lives."""

from __future__ import annotations

import pytest

from fixtures.acceptance import nodes
from fixtures.acceptance.stage import Stage, permitted


@pytest.mark.readonly
def test_no_kubelet_lets_the_unknown_in(stage: Stage) -> None:
    """Nobody is anonymous, who may do what is asked of the API server, and nothing is told without it."""
    cluster = stage.cluster()
    for node in nodes.names(cluster):
        assert nodes.too_trusting(nodes.kubelet_configuration(cluster, node)) == [], node


@pytest.mark.readonly
def test_every_node_runs_containerd(stage: Stage) -> None:
    """The node says so, and is ready."""
    cluster = stage.cluster()
    with permitted():
        found = cluster.list("nodes")
    for node in found:
        status, name = node["status"], node["metadata"]["name"]
        assert status["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://"), name
        assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True", name


@pytest.mark.readonly
def test_containerd_takes_orders_from_root_alone(stage: Stage) -> None:
    """Its process is root's, and nobody else reaches its socket: who does is root on the node."""
    for node in nodes.names(stage.cluster()):
        host = nodes.machine(stage, node)
        (process,) = host.process.filter(comm="containerd")
        socket = host.file("/run/containerd/containerd.sock")
        assert process.user == "root", node
        assert socket.is_socket, node
        assert (socket.user, socket.mode & 0o007) == ("root", 0), f"{node}: mode {socket.mode:04o}"


@pytest.mark.readonly
def test_the_kubelets_keys_are_roots_alone(stage: Stage) -> None:
    """Its kubeconfig with a key in it, or that key, and the key that it serves with: none but root reads."""
    for node in nodes.names(stage.cluster()):
        host = nodes.machine(stage, node)
        for path in nodes.kubelet_files(host).private:
            file = host.file(path)
            assert (file.user, file.mode & 0o077) == ("root", 0), f"{node}: {path}: mode {file.mode:04o}"


@pytest.mark.readonly
def test_a_nodes_settings_are_roots_alone_to_write(stage: Stage) -> None:
    """Who writes the kubelet's or containerd's settings decides what runs as root."""
    for node in nodes.names(stage.cluster()):
        host = nodes.machine(stage, node)
        for path in nodes.kubelet_files(host).settings | nodes.containerd_settings(host):
            file = host.file(path)
            assert (file.user, file.mode & 0o022) == ("root", 0), f"{node}: {path}: mode {file.mode:04o}"


@pytest.mark.readonly
def test_no_key_beside_them_is_readable_by_others(stage: Stage) -> None:
    """In the folders where a node keeps settings and certificates, no file that others may read has a key."""
    for node in nodes.names(stage.cluster()):
        host = nodes.machine(stage, node)
        assert nodes.readable_keys(host) == [], node


@pytest.mark.readonly
def test_vision_has_the_ai_nodes_for_itself(stage: Stage) -> None:
    """Its pods are there and nowhere else, and beside them only what runs on every node."""
    if nodes.AI_SERVICE not in stage.settings.releases:
        pytest.skip(f"this environment has no {nodes.AI_SERVICE}")
    cluster = stage.cluster()
    with permitted():
        found, pods = cluster.list("nodes"), cluster.list("pods")
    assert nodes.misplaced_for_ai(found, pods) == []
