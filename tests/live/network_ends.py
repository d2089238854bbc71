"""Two workloads on a live lab whose pods measure their own network, beside what the faults measure.

A pod answers HTTP (/NUMBER with so many bytes), and counts by sender the datagrams that it hears. What is
asked of a pod is done in it by a process of its own: its sockets, its resolver, no word of the agents'.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from clients.kubernetes import Cluster, Json

NAMESPACE = "chaos-network"
NEAR, FAR = "near", "far"
PORT, DATAGRAMS = 8080, 9999
_PYTHON = "/usr/bin/python3.11"

SERVER = f"""
import http.server, json, socket, threading
heard = {{}}

def listen():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hearing:
        hearing.bind(("", {DATAGRAMS}))
        while True:
            _, (sender, _) = hearing.recvfrom(100)
            heard[sender] = heard.get(sender, 0) + 1

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/")
        body = json.dumps(heard).encode() if name == "heard" else b"x" * int(name or 0)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

threading.Thread(target=listen, daemon=True).start()
http.server.ThreadingHTTPServer(("", {PORT}), Handler).serve_forever()
"""

_VISIT = """
import http.client, json, socket, sys, time
host, port, path, count, timeout_s = sys.argv[1], int(sys.argv[2]), *sys.argv[3:4], *map(float, sys.argv[4:])
found = []
for _ in range(int(count)):
    began_s, connected_s = time.monotonic(), None
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as peer:
            connected_s = time.monotonic() - began_s
            peer.sendall(f"GET {path} HTTP/1.1\\r\\nHost: it\\r\\nConnection: close\\r\\n\\r\\n".encode())
            answer = http.client.HTTPResponse(peer)
            answer.begin()
            body = answer.read()
        outcome = str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        outcome, body = type(error).__name__, b""
    found.append({
        "outcome": outcome,
        "connect_s": connected_s,
        "total_s": time.monotonic() - began_s,
        "body": body[:200].decode(),
        "bytes": len(body),
    })
print(json.dumps(found))
"""
_SEND = """
import socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
    for _ in range(int(sys.argv[3])):
        sending.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
        time.sleep(0.001)
time.sleep(0.2)
print("[]")
"""
_RESOLVE = """
import json, socket, sys
try:
    found = sorted({one[4][0] for one in socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET)})
except socket.gaierror as error:
    found = [error.strerror]
print(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class End:
    """A pod, at its address. What it finds, it finds by itself."""

    cluster: Cluster
    name: str
    address: str

    def visits(
        self, host: str, port: int = PORT, path: str = "/", *, count: int = 1, timeout_s: float = 1.0
    ) -> list[dict[str, Any]]:
        """Ask for a path `count` times: {outcome: a status or an error's name, connect_s, total_s, body}."""
        found: list[dict[str, Any]] = self._run(_VISIT, host, port, path, count, timeout_s)
        return found

    def outcomes(self, host: str, port: int = PORT, *, count: int = 2) -> set[str]:
        """Return what becomes of requests."""
        return {str(one["outcome"]) for one in self.visits(host, port, count=count)}

    def connect_s(self, host: str, port: int = PORT, *, count: int = 5) -> float:
        """Return the median time of a connection."""
        found = self.visits(host, port, count=count, timeout_s=3.0)
        return sorted(float(one["connect_s"]) for one in found)[count // 2]

    def bit_s(self, host: str, size_bytes: int) -> float:
        """Return the rate at which a body arrives."""
        (found,) = self.visits(host, path=f"/{size_bytes}", timeout_s=10.0)
        assert found["bytes"] == size_bytes, found
        return float(size_bytes * 8 / found["total_s"])

    def heard_of(self, sender: End, count: int = 20) -> int:
        """Return how many of so many datagrams of another end arrive here."""
        before = self._heard(sender)
        sender._run(_SEND, self.address, DATAGRAMS, count)
        return self._heard(sender) - before

    def resolved(self, name: str) -> list[str]:
        """Return the addresses that its own resolver gives, or the error's words."""
        found: list[str] = self._run(_RESOLVE, name)
        return found

    def _heard(self, sender: End) -> int:
        (found,) = self.visits("127.0.0.1", path="/heard")
        return int(json.loads(found["body"]).get(sender.address, 0))

    def _run(self, script: str, *words: object) -> Any:
        command = [_PYTHON, "-c", script, *map(str, words)]
        ran = self.cluster.run(self.name, NAMESPACE, command, container="it")
        assert ran.ok, ran.error
        return json.loads(ran.stdout)


def service(name: str) -> Json:
    """Return the Service of a workload."""
    ports = [{"name": "http", "port": PORT, "targetPort": PORT}]
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def workload(name: str, image: str, replicas: int) -> Json:
    """Return the Deployment of a workload, one pod a node while there are nodes."""
    labels = {"app": name}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    container = {
        "name": "it",
        "image": image,
        "command": [_PYTHON, "-c", SERVER],
        "ports": [{"containerPort": PORT}],
        # A fault of the network must not be one of readiness: that would be another effect.
        "readinessProbe": {
            "httpGet": {"path": "/", "port": PORT},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 20,
        },
    }
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "topologySpreadConstraints": [spread],
                    # A name that nobody answers is given up after a second.
                    "dnsConfig": {
                        "options": [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "1"}]
                    },
                    "containers": [container],
                },
            },
        },
    }
