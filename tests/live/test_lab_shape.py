"""The lab is a real Kubernetes: own machines, routed, authorization on, closed to the outside."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import socket
import ssl
import stat
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import LabUnderTest
from verify_command import verify

from clients.kubernetes import ApiError, Cluster, pod_ready
from core.places import state
from core.processes import ProcessId, run
from core.waiting import wait_until
from lab import network
from lab.cluster import find
from lab.debian_root import PYTHON
from lab.images import build_image

WORKERS = ("node1", "node2", "node3")
NAMESPACE = "shape"
WARM_START_S = 12.0
# Fetches 40 times over a new connection each, and prints which pods answered.
ASK_OFTEN = """
import sys, urllib.request
names = set()
for _ in range(40):
    with urllib.request.urlopen(sys.argv[1], timeout=5) as answer:
        names.add(answer.headers["x-pod-name"])
print(*sorted(names))
"""


@dataclass(frozen=True, kw_only=True)
class Web:
    """Two HTTP servers, one on each node, behind one Service."""

    pods: tuple[str, str]
    node_port: int


def _status(name: str) -> dict[str, Any]:
    done = verify("lab", "status", "--name", name, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _ready_nodes(cluster: Cluster) -> set[str]:
    return {
        node["metadata"]["name"]
        for node in cluster.list("nodes")
        for condition in node["status"]["conditions"]
        if (condition["type"], condition["status"]) == ("Ready", "True")
    }


@pytest.fixture(scope="module")
def cluster(test_lab: LabUnderTest) -> Cluster:
    """Give a client with the administrator's kubeconfig."""
    return Cluster(test_lab.kubeconfig)


@pytest.fixture(scope="module")
def nodes(test_lab: LabUnderTest) -> dict[str, dict[str, Any]]:
    """Give what `status --json` tells of each machine."""
    return {node["name"]: node for node in _status(test_lab.name)["nodes"]}


@pytest.fixture(scope="module")
def web(test_lab: LabUnderTest, cluster: Cluster) -> Iterator[Web]:
    """Run the front door once on each node, with a secret that only the pod on node2 uses."""
    image = build_image("api", "1.0.0")
    lab = find(test_lab.name)
    assert lab is not None
    lab.push([image])
    cluster.create("namespaces", {"metadata": {"name": NAMESPACE}})
    try:
        wait_until("the account", lambda: cluster.get("serviceaccounts", "default", NAMESPACE), 30)
        secret = {"metadata": {"name": "jwt", "namespace": NAMESPACE}, "stringData": {"key": "k" * 40}}
        cluster.create("secrets", secret)
        for node in ("node1", "node2"):
            cluster.create("pods", _server(node, image.pinned))
        ports = [{"port": 3000, "targetPort": 3000}]
        service = cluster.create(
            "services",
            {
                "metadata": {"name": "web", "namespace": NAMESPACE},
                "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": ports},
            },
        )

        def ready() -> bool:
            return all(pod_ready(pod) for pod in cluster.list("pods", NAMESPACE))

        wait_until("both servers to be ready", ready, 60, interval_s=0.2)
        port = service["spec"]["ports"][0]["nodePort"]
        yield Web(pods=("web-node1", "web-node2"), node_port=port)
    finally:
        cluster.delete("namespaces", NAMESPACE)
        wait_until("the namespace to go", lambda: cluster.get("namespaces", NAMESPACE) is None, 60)


def _server(node: str, image: str) -> dict[str, Any]:
    from_secret = {"secretKeyRef": {"name": "jwt", "key": "key"}}
    key = {"valueFrom": from_secret} if node == "node2" else {"value": "k" * 40}
    return {
        "metadata": {"name": f"web-{node}", "namespace": NAMESPACE, "labels": {"app": "web"}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "web",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "env": [
                        {"name": "ENVIRONMENT", "value": "lab"},
                        {"name": "POD_NAME", "value": f"web-{node}"},
                        {"name": "JWT_SECRET", **key},
                    ],
                    "readinessProbe": {"httpGet": {"path": "/health", "port": 3000}, "periodSeconds": 1},
                }
            ],
        },
    }


def test_status_tells_what_a_script_needs(test_lab: LabUnderTest) -> None:
    """`status --json` has the lab's name, state, kubeconfig, URL; each machine's address and processes."""
    told = _status(test_lab.name)
    assert {"name", "state", "kubeconfig", "api_url", "nodes", "registry"} <= told.keys()
    assert (told["name"], told["state"], told["kubeconfig"]) == ("test", "up", str(test_lab.kubeconfig))
    assert told["api_url"] == Cluster(test_lab.kubeconfig).server
    assert [node["name"] for node in told["nodes"]] == ["control-plane", *WORKERS]
    assert len({node["address"] for node in told["nodes"]}) == 4
    assert all(node["running"] and node["pids"] for node in told["nodes"])


def test_every_node_is_ready(cluster: Cluster) -> None:
    """All workers are Ready, and of the version that the toolchain pins."""
    assert _ready_nodes(cluster) == set(WORKERS)
    versions = {node["status"]["nodeInfo"]["kubeletVersion"] for node in cluster.list("nodes")}
    assert versions == {cluster.version()}
    assert cluster.version().startswith("v1.36.")


def test_each_machine_has_its_own_namespace_and_programs(nodes: dict[str, dict[str, Any]]) -> None:
    """A machine's programs share one network namespace, with no other machine nor the host."""
    programs: dict[str, set[str]] = {}
    namespaces: dict[str, set[str]] = {}
    for name, node in nodes.items():
        inside = set(node["pids"]) - {_outer_process(node)}
        # A process can end while it is read about: what is gone is not looked at.
        for path in (Path(f"/proc/{pid}") for pid in inside):
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
                space = str((path / "ns/net").readlink())
            except OSError:
                continue
            program = Path(words[0].decode()).name
            programs.setdefault(name, set()).add(program)
            if program.startswith(("kube", "containerd", "etcd")):
                namespaces.setdefault(name, set()).add(space)
    assert {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "registry"} <= programs[
        "control-plane"
    ]
    for worker in WORKERS:
        assert {"containerd", "kubelet", "kube-proxy"} <= programs[worker]
    assert all(len(spaces) == 1 for spaces in namespaces.values())
    assert len(set.union(*namespaces.values()) | {str(Path("/proc/self/ns/net").readlink())}) == 5


def test_only_what_tolerates_it_goes_to_the_node_for_ai(cluster: Cluster) -> None:
    """One node is labelled and tainted workload=ai, the others are not; each is a zone, for the spread."""
    told = {
        node["metadata"]["name"]: (
            node["metadata"]["labels"]["topology.kubernetes.io/zone"],
            node["metadata"]["labels"].get("workload"),
            [(t["key"], t["value"], t["effect"]) for t in node["spec"].get("taints", [])],
        )
        for node in cluster.list("nodes")
    }
    assert told == {
        "node1": ("node1", None, []),
        "node2": ("node2", None, []),
        "node3": ("node3", "ai", [("workload", "ai", "NoSchedule")]),
    }


@pytest.mark.usefixtures("web")
def test_an_image_that_nobody_pushed_can_not_be_pulled(cluster: Cluster) -> None:
    """Nodes pull from the lab's registry, so a missing image fails as on any cluster; the one pushed runs."""
    missing = _server("node1", f"docker.io/ecochain/auth-service@sha256:{'0' * 64}")
    missing["metadata"] = {"name": "missing", "namespace": NAMESPACE}
    cluster.create("pods", missing)

    def reason() -> str:
        statuses = cluster.get("pods", "missing", NAMESPACE)["status"].get("containerStatuses", [{}])  # type: ignore[index]
        return str(statuses[0].get("state", {}).get("waiting", {}).get("reason"))

    try:
        wait_until(
            "the pull to fail", lambda: reason() in {"ErrImagePull", "ImagePullBackOff"}, 30, last=reason
        )
    finally:
        cluster.delete("pods", "missing", NAMESPACE, grace_s=0)


@pytest.mark.usefixtures("web")
def test_a_volume_is_a_folder_of_the_lab_and_goes_with_its_claim(
    test_lab: LabUnderTest, cluster: Cluster
) -> None:
    """The default StorageClass gives a pod without root a folder to write to; the claim gone, it is gone."""
    image = build_image("api", "1.0.0").pinned
    volumes = state() / "labs" / test_lab.name / "volumes"
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "data", "namespace": NAMESPACE}
    cluster.create("persistentvolumeclaims", {"metadata": meta, "spec": claim})
    writes = [PYTHON, "-c", "import time; open('/data/told', 'w').write('here'); time.sleep(600)"]
    server = {"name": "w", "image": image, "command": writes}
    spec = {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsUser": 10001},
        "containers": [{**server, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    cluster.create("pods", {"metadata": {**meta, "name": "writer"}, "spec": spec})
    try:
        wait_until("the pod to have written", lambda: list(volumes.glob("*/told")), 60, interval_s=0.2)
        assert [file.read_text() for file in volumes.glob("*/told")] == ["here"]
    finally:
        cluster.delete("pods", "writer", NAMESPACE, grace_s=0)
        cluster.delete("persistentvolumeclaims", "data", NAMESPACE)
    wait_until("the volume to go", lambda: not list(volumes.iterdir()), 60, interval_s=0.2)


def _outer_process(node: dict[str, Any]) -> int:
    # It stays in the host's network namespace: it waits for the machine that it started.
    return min(node["pids"], key=lambda pid: ProcessId.of(pid).start_ticks if ProcessId.of(pid) else 2**62)


def test_pods_of_different_nodes_reach_each_other_through_a_service(cluster: Cluster, web: Web) -> None:
    """From a pod on either node, by the Service's name, both nodes' pods answer."""
    for pod in web.pods:
        ask = [PYTHON, "-c", ASK_OFTEN, f"http://web.{NAMESPACE}:3000/health"]
        assert cluster.execute(pod, NAMESPACE, ask).split() == ["web-node1", "web-node2"]


def test_a_node_port_answers_on_every_node_from_the_host(web: Web, nodes: dict[str, dict[str, Any]]) -> None:
    """Either node's address and the NodePort lead to both pods."""
    for node in ("node1", "node2"):
        url = f"http://{nodes[node]['address']}:{web.node_port}/health"
        asked = run([sys.executable, "-c", ASK_OFTEN, url], timeout_s=60)
        assert asked.stdout.split() == ["web-node1", "web-node2"]


def _anonymous(url: str, test_lab: LabUnderTest) -> int:
    """Return the HTTP status of a request without any credentials."""
    config = json.loads(test_lab.kubeconfig.read_text())
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    try:
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_request_without_credentials_is_refused(
    test_lab: LabUnderTest, nodes: dict[str, dict[str, Any]]
) -> None:
    """The API server forbids an anonymous request to read secrets; the kubelets do not know one at all."""
    assert _anonymous(f"{test_lab.api_url}/api/v1/secrets", test_lab) in (401, 403)
    for node in ("node1", "node2"):
        assert _anonymous(f"https://{nodes[node]['address']}:10250/pods", test_lab) == 401


def test_a_node_reads_only_the_secrets_of_its_own_pods(test_lab: LabUnderTest, web: Web) -> None:
    """node2, whose pod uses the secret, may read it; node1 gets 403; neither may list."""
    assert web.pods[1] == "web-node2"
    machines = state() / "labs" / test_lab.name / "machines"
    node1, node2 = (Cluster(machines / name / "kubelet.kubeconfig") for name in ("node1", "node2"))
    assert node2.get("secrets", "jwt", NAMESPACE) is not None
    for refused in (
        lambda: node1.get("secrets", "jwt", NAMESPACE),
        lambda: node1.list("secrets"),
        lambda: node2.list("secrets", NAMESPACE),
    ):
        with pytest.raises(ApiError) as error:
            refused()
        assert error.value.status == 403


def test_credentials_are_readable_by_their_owner_only(test_lab: LabUnderTest) -> None:
    """Every kubeconfig and every private key of the lab has mode 0600."""
    folder = test_lab.kubeconfig.parent
    # os.walk passes over what goes while it walks, as the folders of containers do.
    found = [Path(at) / name for at, _, names in os.walk(folder) for name in names]
    files = [path for path in found if path.suffix == ".kubeconfig" or path.match("pki/*.key")]
    assert len(files) > 14
    assert {f"{stat.S_IMODE(path.stat().st_mode):o}" for path in [test_lab.kubeconfig, *files]} == {"600"}


def test_etcd_asks_for_a_certificate_and_is_not_on_the_network(
    test_lab: LabUnderTest, nodes: dict[str, dict[str, Any]]
) -> None:
    """Without a client certificate etcd ends the connection, and from the host it is not to be reached."""
    plane = nodes["control-plane"]
    for port in (2379, 2380):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((plane["address"], port), timeout=5)
    ask = (
        "import ssl, sys, urllib.request\n"
        "context = ssl.create_default_context(cafile=sys.argv[1])\n"
        "if sys.argv[2:]: context.load_cert_chain(*sys.argv[2:])\n"
        "print(urllib.request.urlopen('https://127.0.0.1:2379/version', context=context, timeout=5).status)\n"
    )
    keys = test_lab.kubeconfig.parent / "pki"
    inside = ["nsenter", f"--net=/run/netns/{plane['netns']}", sys.executable, "-c", ask, keys / "ca.crt"]
    known = [keys / "apiserver-etcd-client.crt", keys / "apiserver-etcd-client.key"]
    assert run([*inside, *known], timeout_s=20).stdout == "200\n"
    refused = run(inside, timeout_s=20, check=False)
    assert refused.returncode != 0
    assert "certificate required" in refused.stderr.lower().replace("_", " ")


def test_nothing_of_the_lab_listens_on_the_host(test_lab: LabUnderTest, web: Web) -> None:
    """No listener of the host's own namespace has a port of the lab's, on any address."""
    assert test_lab.api_url.endswith(":6443")
    listening = {
        int(line.split()[3].rpartition(":")[2])
        for line in run(["ss", "-Hltn"], timeout_s=10).stdout.splitlines()
    }
    assert not listening & {6443, 2379, 2380, 10250, 10256, 10257, 10259, web.node_port}


@contextmanager
def _outside(subnet: str) -> Iterator[tuple[list[str], str]]:
    """Make a neighbour of this host that routes the lab's subnet through it.

    Gives the prefix of a command that runs there, and the host's address as the neighbour knows it.
    """
    name = "ecvoutside"
    # Ranges for documentation and measurements; a machine can have one of them in use all the same.
    ranges = ("198.51.100.0/30", "203.0.113.0/30", "198.18.77.0/30")
    free = next(part for part in ranges if network.taken_by(part) is None)
    host, neighbour = map(str, ipaddress.ip_network(free).hosts())
    held = Path("/run/netns", name)
    held.touch()
    try:
        run(["unshare", f"--net={held}", "true"], timeout_s=10)
        run(["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name], timeout_s=10)
        run(["ip", "address", "add", f"{host}/30", "dev", name], timeout_s=10)
        run(["ip", "link", "set", name, "up"], timeout_s=10)
        # As on a host that forwards, but for what comes from this neighbour only.
        Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding").write_text("1")
        words = [f"address add {neighbour}/30 dev eth0", "link set eth0 up", f"route add {subnet} via {host}"]
        run(["ip", "-n", name, "-batch", "-"], timeout_s=10, stdin="\n".join(words) + "\n")
        yield ["nsenter", f"--net={held}"], host
    finally:
        run(["ip", "link", "delete", name], timeout_s=10, check=False)
        run(["umount", "--lazy", held], timeout_s=10, check=False)
        held.unlink()


def test_a_neighbour_of_the_host_reaches_neither_the_api_nor_a_node_port(
    test_lab: LabUnderTest, web: Web, nodes: dict[str, dict[str, Any]]
) -> None:
    """Even where the host forwards a neighbour's packets into the lab, no connection comes about."""
    connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)"
    with (
        _outside(_status(test_lab.name)["subnet"]) as (there, host),
        socket.create_server((host, 0)) as listener,
    ):

        def reaches(address: str, port: int) -> bool:
            words = [*there, sys.executable, "-c", connect, address, str(port)]
            return run(words, timeout_s=20, check=False).returncode == 0

        assert reaches(host, listener.getsockname()[1]), "the neighbour does not even reach the host"
        assert not reaches(nodes["control-plane"]["address"], 6443)
        assert not reaches(nodes["node1"]["address"], web.node_port)
        assert not reaches(nodes["node2"]["address"], 10250)


def test_taking_down_a_lab_that_is_not_there_says_so(test_lab: LabUnderTest) -> None:
    """`down` of an unknown name removes nothing and says so; of an impossible name it is misuse."""
    down = verify("lab", "down", "--name", "nosuch")
    assert (down.returncode, down.stdout) == (0, "lab nosuch: there is none\n")
    for verb in ("down", "status", "up"):
        wrong = verify("lab", verb, "--name", "../test")
        assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1), wrong.stderr
    assert _status(test_lab.name)["state"] == "up"


def test_a_second_start_finds_the_lab_or_refuses_another_shape(test_lab: LabUnderTest) -> None:
    """`up` of a lab that is up returns it as it is; with another number of nodes it is refused."""
    before = _status(test_lab.name)
    again = verify("lab", "up", "--name", test_lab.name, "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["seconds"] == {}
    other = verify("lab", "up", "--name", test_lab.name, "--nodes", "2")
    assert (other.returncode, len(other.stderr.splitlines())) == (2, 1), other.stderr
    after = _status(test_lab.name)
    # Each machine's first process is the one it was.
    assert [node["pids"][0] for node in after["nodes"]] == [node["pids"][0] for node in before["nodes"]]


def test_two_labs_run_at_once_and_a_node_fails_alone(
    test_lab: LabUnderTest, cluster: Cluster, web: Web, nodes: dict[str, dict[str, Any]]
) -> None:
    """A second lab loses a node: its other node and its API go on, and the first lab notices nothing.

    `status` calls the lab with a dead machine degraded, `up` makes it whole again.
    """
    try:
        up = verify("lab", "up", "--name", "other", "--json")
        assert up.returncode == 0, up.stderr
        told = json.loads(up.stdout)
        other = Cluster(Path(told["kubeconfig"]))
        assert told["subnet"] != _status(test_lab.name)["subnet"]
        assert _ready_nodes(other) == _ready_nodes(cluster) == set(WORKERS)
        machine = next(node for node in told["nodes"] if node["name"] == "node1")
        inside = {found for pid in machine["pids"] if (found := ProcessId.of(pid)) is not None}
        _recorded_process("other", "node1").signal(9)
        wait_until("node1's processes to end", lambda: not any(p.alive() for p in inside), 10)
        assert _status("other")["state"] == "degraded"
        # The node that lives goes on to tell the API server that it does.
        told_at = _heartbeat(other, "node2")
        wait_until("node2's next heartbeat", lambda: _heartbeat(other, "node2") > told_at, 30)
        assert "node2" in _ready_nodes(other)
        again = verify("lab", "up", "--name", "other", "--json")
        assert again.returncode == 0, again.stderr
        whole = json.loads(again.stdout)
        assert (whole["state"], [node["running"] for node in whole["nodes"]]) == ("up", [True] * 4)
    finally:
        down = verify("lab", "down", "--name", "other")
    assert down.stdout == "lab other: removed\n"
    assert _status(test_lab.name)["state"] == "up"
    assert _ready_nodes(cluster) == set(WORKERS)
    url = f"http://{nodes['node1']['address']}:{web.node_port}/health"
    asked = run([sys.executable, "-c", ASK_OFTEN, url], timeout_s=60)
    assert asked.stdout.split() == list(web.pods)


def _recorded_process(lab: str, machine: str) -> ProcessId:
    for line in (state() / "labs" / lab / "processes.jsonl").read_text().splitlines():
        noted = json.loads(line)
        if noted["name"] == machine:
            return ProcessId(pid=noted["pid"], start_ticks=noted["start_ticks"])
    raise AssertionError(f"no process of {machine} is recorded")


def _heartbeat(cluster: Cluster, node: str) -> str:
    lease = cluster.get("leases", node, "kube-node-lease")
    return str(lease["spec"]["renewTime"]) if lease else ""


def test_a_warm_start_takes_at_most_twelve_seconds(
    test_lab: LabUnderTest, record_property: Callable[[str, object], None]
) -> None:
    """From nothing to a pod that resolved a Service's name: the best of at most three starts.

    It is the best because other work on the machine can only lengthen a start. The first is that of the
    lab which the tests share; another is made only if that one took longer.
    """
    seconds = [test_lab.seconds["names resolve in a pod"]]
    while min(seconds) > WARM_START_S and len(seconds) < 3:
        time.sleep(2)
        try:
            up = verify("lab", "up", "--name", "timed", "--json")
            assert up.returncode == 0, up.stderr
            seconds.append(json.loads(up.stdout)["seconds"]["names resolve in a pod"])
        finally:
            verify("lab", "down", "--name", "timed")
    record_property("warm_starts_s", seconds)
    assert min(seconds) <= WARM_START_S, seconds
