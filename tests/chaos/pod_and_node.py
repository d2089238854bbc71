"""A node and a pod as the agent sees them: two linked network namespaces, which end with this process."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chaos.agents import Act
from chaos.node import netns, processes, resolver
from core.processes import run

CONTAINER = "c" * 64
NODE_ADDRESS, OTHER_ADDRESS, POD_ADDRESS = "10.231.77.1", "10.231.77.3", "10.231.77.2"
NAMES = {"store.shop.svc.cluster.local": "10.231.77.50", "other.shop.svc.cluster.local": "10.231.77.51"}
# Ends when this process does, also by SIGKILL, and takes its network namespace with it.
_STAY = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(1, 9)
if len(sys.argv) > 1:
    os.chroot(sys.argv[1])
print("there", flush=True)
time.sleep(600)
"""


@dataclass(kw_only=True)
class Site:
    """`pod` and `node` are network namespaces (inodes); the node has two addresses."""

    pod: int
    node: int
    noted: dict[str, dict[str, Any]] = field(default_factory=dict)
    begun: list[Act] = field(default_factory=list)

    def act(self, kind: str, act_id: str = "act-1", **params: Any) -> Act:
        return Act(id=act_id, kind=kind, node="n", container_id=CONTAINER, params=params, longest_s=60)

    def note(self, act: Act):
        def note(**data: Any) -> None:
            self.noted.setdefault(act.id, {}).update(data)

        return note

    def begin(self, kind: Any, act: Act) -> Any:
        kind.check(act)
        self.begun.append(act)
        return kind.begin(act, self.note(act))

    def end(self, kind: Any, act: Act) -> None:
        kind.end(act, self.noted.get(act.id, {}))

    def in_pod(self, *argv: str) -> str:
        return netns.run(self.pod, argv).stdout

    def rules(self) -> str:
        lines = (self.in_pod("iptables-save") + self.in_pod("ip6tables-save")).splitlines()
        return "\n".join(line for line in lines if line.startswith(("-A", ":ECOCHAIN")))


@contextlib.contextmanager
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Make both, with an HTTP server, a server that greets first, and a name server on the node."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "resolv.conf").write_text(
        f"search shop.svc.cluster.local svc.cluster.local\nnameserver {NODE_ADDRESS}\noptions ndots:5\n"
    )
    staying = [_stay(), _stay(str(root))]
    node, pod = (_inode(one.pid) for one in staying)
    try:
        n, p = (["nsenter", f"--net=/proc/{one.pid}/ns/net"] for one in staying)
        far = ["netns", str(staying[1].pid)]
        run([*n, "ip", "link", "add", "veth0", "type", "veth", "peer", "name", "eth0", *far], timeout_s=10)
        for where, link, addresses in (
            (n, "veth0", (NODE_ADDRESS, OTHER_ADDRESS)),
            (p, "eth0", (POD_ADDRESS,)),
        ):
            for address in addresses:
                run([*where, "ip", "address", "add", f"{address}/24", "dev", link], timeout_s=10)
            run([*where, "ip", "link", "set", link, "up"], timeout_s=10)
            run([*where, "ip", "link", "set", "lo", "up"], timeout_s=10)
        run([*p, "ip", "route", "add", "default", "via", NODE_ADDRESS], timeout_s=10)
        places = {"": node, CONTAINER: pod}
        monkeypatch.setattr(netns, "of_container", places.__getitem__)
        monkeypatch.setattr(netns, "of_pods", lambda: {pod})
        monkeypatch.setattr(processes, "main_of", lambda _: processes.look(staying[1].pid))
        with _served(node):
            yield Site(pod=pod, node=node)
    finally:
        for one in staying:
            one.kill()
            one.wait()
            assert one.stdout is not None
            one.stdout.close()


def _stay(*root: str) -> subprocess.Popen[bytes]:
    argv = ["unshare", "--net", sys.executable, "-S", "-c", _STAY, *root]
    started = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert started.stdout is not None
    assert started.stdout.readline() == b"there\n"
    return started


def _inode(pid: int) -> int:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


class _Http(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self.request.recv(65536):
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class _Names(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, connection = self.request
        connection.sendto(_true_answer(query), self.client_address)


class _NamesOverTcp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query = self.request.recv(65536)[2:]
        answer = _true_answer(query)
        self.request.sendall(len(answer).to_bytes(2, "big") + answer)


def _true_answer(query: bytes) -> bytes:
    question = resolver.Question.of(query)
    assert question is not None
    address = NAMES.get(question.name, "")
    return resolver.answer(query, question, code=0 if address else 3, address=address)


def _served(node: int) -> contextlib.AbstractContextManager[None]:
    def start() -> list[socketserver.BaseServer]:
        socketserver.ThreadingTCPServer.allow_reuse_address = True
        return [
            socketserver.ThreadingTCPServer(("0.0.0.0", 8080), _Http),
            socketserver.ThreadingUDPServer((NODE_ADDRESS, 53), _Names),
            socketserver.ThreadingTCPServer((NODE_ADDRESS, 53), _NamesOverTcp),
        ]

    return _serving(netns.call(node, start))


def served_at(place: int, address: str) -> contextlib.AbstractContextManager[None]:
    """Serve HTTP in a network namespace."""
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    return _serving([netns.call(place, lambda: socketserver.ThreadingTCPServer((address, 8080), _Http))])


@contextlib.contextmanager
def _serving(servers: list[socketserver.BaseServer]) -> Iterator[None]:
    threads = []
    for server in servers:
        server.daemon_threads = True  # type: ignore[attr-defined]
        server.block_on_close = False  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        threads.append(thread)
    try:
        yield
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def connection_from(pod: int, address: str, port: int) -> socket.socket:
    """Return a connection that was made within a network namespace."""
    return netns.call(pod, lambda: socket.create_connection((address, port), timeout=2))
