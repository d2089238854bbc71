"""A node that is cut off: what others reach of it, what it reaches, and what is left afterwards."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pod_and_node import CONTAINER, NODE_ADDRESS, POD_ADDRESS, Site, site

from chaos.agents import Act
from chaos.node import chains, netns
from chaos.node.acts import cut_node
from chaos.node.questions import exchange
from core.errors import MisuseError, RefusedError

AGENT, OTHER = 19797, 8081
WORDS = b"hello".hex()


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(self.request.recv(100))


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give the far end of the link as the node, with the agent's port and another one served on it."""
    with site(tmp_path, monkeypatch) as made:
        monkeypatch.setattr(netns, "of_container", lambda one: made.node if one else made.pod)
        monkeypatch.setenv("NODE_ADDRESS", POD_ADDRESS)
        servers = netns.call(
            made.pod, lambda: [socketserver.ThreadingTCPServer(("0.0.0.0", p), _Echo) for p in (AGENT, OTHER)]
        )
        for server in servers:
            server.daemon_threads = True
            server.block_on_close = False
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield made
        finally:
            for server in servers:
                server.shutdown()
                server.server_close()


def cut(**params: Any) -> Act:
    return Act(id="cut-1", kind="cut_node", node="n", params={"port": AGENT, **params}, longest_s=60)


def outcome(*, inside: bool, address: str, port: int) -> str:
    """Ask from the node, or from the other machine, which the fixture calls a container."""
    told = exchange.ask(
        address=address,
        port=port,
        container_id="" if inside else CONTAINER,
        greeting=WORDS,
        timeout_s=0.3,
    )
    return str(told["attempts"][0]["outcome"])


def test_nothing_goes_in_or_out_but_the_agents_port(node: Site) -> None:
    """Another port and all that the node asks for time out, silently; loopback and the agent answer."""
    assert outcome(inside=False, address=POD_ADDRESS, port=OTHER) == "answered"
    assert outcome(inside=True, address=NODE_ADDRESS, port=8080) == "answered"
    act = cut()
    did = node.begin(cut_node, act)
    assert did["links"] == ["eth0"]
    assert outcome(inside=False, address=POD_ADDRESS, port=OTHER) == "timeout"
    assert outcome(inside=True, address=NODE_ADDRESS, port=8080) == "timeout"
    assert outcome(inside=False, address=POD_ADDRESS, port=AGENT) == "answered"
    assert outcome(inside=True, address="127.0.0.1", port=OTHER) == "answered"
    node.end(cut_node, act)
    assert outcome(inside=False, address=POD_ADDRESS, port=OTHER) == "answered"
    assert outcome(inside=True, address=NODE_ADDRESS, port=8080) == "answered"


def test_its_chains_are_found_and_gone_after_it(node: Site) -> None:
    """The listing that asks no ledger has them, until the act is ended; twice is harmless."""
    act = cut()
    node.begin(cut_node, act)
    assert len(chains.found([node.pod])) == 3
    for _ in range(2):
        node.end(cut_node, act)
    assert chains.found([node.pod]) == []


def test_the_links_to_the_nodes_own_pods_stay(node: Site) -> None:
    """A link that no gateway is on, and that has not the node's address, is none to other machines."""
    node.in_pod("ip", "link", "add", "pod0", "type", "veth", "peer", "name", "pod1")
    node.in_pod("ip", "address", "add", "10.231.78.1/32", "dev", "pod0")
    node.in_pod("ip", "link", "set", "pod0", "up")
    node.in_pod("ip", "route", "add", "10.231.78.9", "dev", "pod0")
    assert node.begin(cut_node, cut())["links"] == ["eth0"]


@pytest.mark.parametrize("params", [{"port": 0}, {"port": "19797"}, {"links": ["eth0"]}])
def test_wrong_parameters_are_refused(node: Site, params: dict[str, Any]) -> None:
    """Nothing is touched, and the error says what is expected."""
    with pytest.raises(MisuseError, match="expected the parameter port"):
        cut_node.check(cut(**params))
    assert chains.found([node.pod]) == []


def test_a_node_without_a_link_to_others_is_refused(node: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would cut nothing is refused before it begins."""
    monkeypatch.delenv("NODE_ADDRESS")
    node.in_pod("ip", "route", "del", "default")
    with pytest.raises(RefusedError, match="no link"):
        cut_node.check(cut())
