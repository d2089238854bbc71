"""What the network acts do to a pod's traffic, measured from within it, and that nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from statistics import median
from typing import Any

import pytest
from pod_and_node import (
    CONTAINER,
    NODE_ADDRESS,
    OTHER_ADDRESS,
    POD_ADDRESS,
    Site,
    connection_from,
    served_at,
    site,
)

from chaos.node import chains, children, netns, processes, queueing, resolver
from chaos.node.acts import ACTS
from chaos.node.notes import Notes
from chaos.node.open_acts import OpenActs
from chaos.node.questions import QUESTIONS
from core.errors import CommandError, MisuseError, RefusedError
from core.waiting import wait_until

NETWORK = ("network_filter", "network_delay", "network_bandwidth", "dns_answers", "http_errors")
GREETING = b"GET / HTTP/1.1\r\n\r\n".hex()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch, site(tmp_path_factory.mktemp("site"), patch) as one:
        yield one


@pytest.fixture
def net(made: Site) -> Iterator[Site]:
    """Both networks, with nothing of an act in them afterwards."""
    yield made
    for act in made.begun:
        made.end(ACTS[act.kind], act)
    made.begun.clear()
    made.noted.clear()
    assert left() == []
    assert made.rules() == ""


def left() -> list[Mapping[str, Any]]:
    return [one for kind in NETWORK for one in ACTS[kind].remainders()]


def exchange(address: str = NODE_ADDRESS, **params: Any) -> Mapping[str, Any]:
    asked = {"port": 8080, "greeting": GREETING, "timeout_s": 0.5, **params}
    answer = QUESTIONS["exchange"].ask(container_id=CONTAINER, address=address, **asked)
    return answer["attempts"][0]


def outcome(address: str = NODE_ADDRESS) -> str:
    return exchange(address)["outcome"]


def status() -> str:
    return exchange().get("answer", "").partition("\r\n")[0]


def resolved(name: str) -> Any:
    answer = QUESTIONS["resolve"].ask(container_id=CONTAINER, name=name, timeout_s=0.3)
    return answer["addresses"] or answer["outcome"]


def round_trip_ms() -> float:
    answer = QUESTIONS["echo"].ask(address=POD_ADDRESS, count=5)
    assert answer["lost"] == 0
    return median(answer["rtt_s"]) * 1000


def lost_ratio(count: int = 400) -> float:
    answer = QUESTIONS["echo"].ask(address=POD_ADDRESS, count=count, interval_s=0.002, timeout_s=0.1)
    return answer["lost"] / answer["sent"]


def rate_bit_s(size_bytes: int = 400_000) -> float:
    asked = {"address": POD_ADDRESS, "size_bytes": size_bytes}
    return QUESTIONS["throughput"].ask(container_id=CONTAINER, **asked)["bit_s"]


NAMES = {"ports": [53], "protocols": ["udp", "tcp"]}
TO_NODE = {"addresses": [NODE_ADDRESS]}


@pytest.mark.parametrize(
    ("kind", "params", "measure", "seen"),
    [
        ("network_filter", {"effect": "drop", **TO_NODE}, outcome, ("answered", "timeout")),
        (
            "network_filter",
            {"effect": "drop", "direction": "in", **TO_NODE},
            outcome,
            ("answered", "timeout"),
        ),
        ("network_filter", {"effect": "refuse", "direction": "out"}, outcome, ("answered", "refused")),
        ("network_filter", {"effect": "reset", "direction": "out"}, outcome, ("answered", "reset")),
        (
            "network_filter",
            {"effect": "refuse", "direction": "out", **NAMES},
            lambda: resolved("store"),
            (["10.231.77.50"], "refused"),
        ),
        (
            "network_filter",
            {"effect": "drop", **NAMES},
            lambda: resolved("store"),
            (["10.231.77.50"], "timeout"),
        ),
        (
            "dns_answers",
            {"names": ["store"], "answer": "192.0.2.1"},
            lambda: (resolved("store"), resolved("other")),
            ((["10.231.77.50"], ["10.231.77.51"]), (["192.0.2.1"], ["10.231.77.51"])),
        ),
        (
            "dns_answers",
            {"names": ["store"], "answer": "nxdomain"},
            lambda: (resolved("store"), resolved("other"), resolved("none")),
            ((["10.231.77.50"], ["10.231.77.51"], "nxdomain"), ("nxdomain", ["10.231.77.51"], "nxdomain")),
        ),
        (
            "http_errors",
            {"ports": [8080], "status": 502, **TO_NODE},
            status,
            ("HTTP/1.1 200 OK", "HTTP/1.1 502 Bad Gateway"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_act_shows_while_it_lasts_and_no_longer(
    net: Site, kind: str, params: dict, measure: Any, seen: tuple[Any, Any]
) -> None:
    """Measured before, during and after; undoing it twice is undoing it once."""
    healthy, disturbed = seen
    act = net.act(kind, **params)
    assert measure() == healthy
    net.begin(ACTS[kind], act)
    assert measure() == disturbed
    net.end(ACTS[kind], act)
    net.end(ACTS[kind], act)
    assert measure() == healthy


def test_a_delay_is_the_one_that_was_asked_for(net: Site) -> None:
    """A round trip takes the delay longer, neither less nor twice that, and the mechanism is named."""
    act = net.act("network_delay", delay_ms=80)
    before_ms = round_trip_ms()
    evidence = net.begin(ACTS["network_delay"], act)
    assert 80 <= round_trip_ms() - before_ms < 120
    assert evidence["mechanism"] in ("netem", "nfqueue")
    net.end(ACTS["network_delay"], act)
    assert round_trip_ms() < 20


def test_a_delay_towards_some_peers_leaves_the_others_alone(net: Site) -> None:
    """Only what comes from the named address is held back."""
    act = net.act("network_delay", delay_ms=80, jitter_ms=10, **TO_NODE)
    net.begin(ACTS["network_delay"], act)
    assert 0.07 <= exchange()["connect_s"] < 0.15
    assert exchange(OTHER_ADDRESS)["connect_s"] < 0.05


def test_packets_pass_when_the_delayer_has_died(net: Site) -> None:
    """A queue that nobody listens to is bypassed: the pod is not cut off by our own crash."""
    act = net.act("network_delay", delay_ms=80, **TO_NODE)
    net.begin(ACTS["network_delay"], act)
    (child,) = children.found()
    child.id.end(grace_s=0)
    assert exchange()["connect_s"] < 0.05


def test_a_loss_is_the_share_that_was_asked_for(net: Site) -> None:
    """A fifth each way is a loss of 36 % for a round trip: 0.36 ± 0.1 is 4 deviations of 400 echoes."""
    act = net.act("network_filter", effect="drop", ratio=0.2)
    assert lost_ratio() == 0
    net.begin(ACTS["network_filter"], act)
    assert lost_ratio() == pytest.approx(0.36, abs=0.1)
    net.end(ACTS["network_filter"], act)
    assert lost_ratio() == 0


def test_a_bandwidth_is_the_one_that_was_asked_for(net: Site) -> None:
    """4 Mbit/s are reached, and not exceeded by more than the bucket."""
    act = net.act("network_bandwidth", rate_bit_s=4e6)
    assert rate_bit_s() > 40e6
    net.begin(ACTS["network_bandwidth"], act)
    assert 2.5e6 < rate_bit_s() < 4.8e6
    net.end(ACTS["network_bandwidth"], act)
    assert rate_bit_s() > 40e6


def test_a_dropped_packet_is_no_error_to_its_sender(net: Site) -> None:
    """The network loses packets without telling: a rule that drops would fail the pod's send call."""
    net.begin(ACTS["network_filter"], net.act("network_filter", effect="drop", direction="out"))

    def send() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            return connection.sendto(b"x", (NODE_ADDRESS, 9))

    assert netns.call(net.pod, send) == 1


def test_a_loopback_within_the_pod_goes_on(net: Site) -> None:
    """Containers of one pod talk over loopback, which is no network."""
    net.begin(ACTS["network_filter"], net.act("network_filter", effect="drop"))
    server = netns.call(net.pod, lambda: socket.create_server(("127.0.0.1", 0)))
    with server, connection_from(net.pod, "127.0.0.1", server.getsockname()[1]):
        server.accept()[0].close()


def test_callers_of_a_pod_see_their_connections_reset(net: Site) -> None:
    """They open, and are reset once the request is sent; afterwards they are answered."""

    def called() -> str:
        asked = {"port": 8080, "greeting": GREETING, "timeout_s": 0.5}
        return QUESTIONS["exchange"].ask(address=POD_ADDRESS, **asked)["attempts"][0]["outcome"]

    act = net.act("network_filter", effect="reset", direction="in", own_ports=[8080], protocols=["tcp"])
    with served_at(net.pod, POD_ADDRESS):
        assert called() == "answered"
        net.begin(ACTS["network_filter"], act)
        assert called() == "reset"
        assert outcome() == "answered", "the pod's own calls are not its callers'"
        net.end(ACTS["network_filter"], act)
        assert called() == "answered"


def test_a_resolver_that_keeps_its_socket_hears_the_truth_again(net: Site) -> None:
    """The kernel would go on leading the packets of a known socket astray for half a minute."""
    query = resolver.query("store.shop.svc.cluster.local", "A")

    def made() -> socket.socket:
        kept = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        kept.settimeout(2)
        kept.connect((NODE_ADDRESS, 53))
        return kept

    act = net.act("dns_answers", names=["store"], answer="192.0.2.1")
    with netns.call(net.pod, made) as kept:
        for address in ("10.231.77.50", "192.0.2.1", "10.231.77.50"):
            if address == "192.0.2.1":
                net.begin(ACTS["dns_answers"], act)
            else:
                net.end(ACTS["dns_answers"], act)
            kept.send(query)
            assert resolver.read_answer(kept.recv(4096))[1] == [address]


def test_a_connection_that_stands_is_not_spared_by_http_errors(net: Site) -> None:
    """A client that keeps its connections meets the outage as well."""
    with connection_from(net.pod, NODE_ADDRESS, 8080) as kept:
        kept.sendall(b"x")
        assert kept.recv(100)
        net.begin(ACTS["http_errors"], net.act("http_errors", ports=[8080], **TO_NODE))
        kept.sendall(b"x")
        with pytest.raises(ConnectionError):
            kept.recv(100)


def test_wrong_names_are_answered_over_tcp_too(net: Site) -> None:
    """A resolver that turns to TCP gets the same wrong answer, and the true one for other names."""
    net.begin(ACTS["dns_answers"], net.act("dns_answers", names=["store"], answer="192.0.2.1"))

    def asked(name: str) -> list[str]:
        query = resolver.query(name, "A")
        with connection_from(net.pod, NODE_ADDRESS, 53) as connection:
            connection.settimeout(2)
            connection.sendall(len(query).to_bytes(2, "big") + query)
            return resolver.read_answer(connection.recv(4096)[2:])[1]

    assert asked("store.shop.svc.cluster.local") == ["192.0.2.1"]
    assert asked("other.shop.svc.cluster.local") == ["10.231.77.51"]


def test_a_directed_drop_is_heard_at_one_end_only(net: Site) -> None:
    """What the pod sends is lost while what is sent to it arrives: its kernel counts the echoes."""

    def heard() -> int:
        return QUESTIONS["echoes_heard"].ask(container_id=CONTAINER)["heard"]

    for direction, arriving in (("out", 5), ("in", 0)):
        act = net.act("network_filter", direction, effect="drop", direction=direction)
        net.begin(ACTS["network_filter"], act)
        before = heard()
        assert QUESTIONS["echo"].ask(address=POD_ADDRESS, count=5, timeout_s=0.1)["lost"] == 5
        assert heard() - before == arriving
        net.end(ACTS["network_filter"], act)


def test_a_pod_with_ipv6_loses_that_too(net: Site) -> None:
    """Where a pod has addresses of both families, all of its traffic is that of both."""
    ends = {net.pod: ("eth0", "fd77::2/64"), net.node: ("veth0", "fd77::1/64")}
    for place, (link, address) in ends.items():
        netns.run(place, ["ip", "address", "add", address, "dev", link, "nodad"])

    def lost() -> int:
        return QUESTIONS["echo"].ask(address="fd77::2", count=3, timeout_s=0.2)["lost"]

    act = net.act("network_filter", effect="drop")
    try:
        assert lost() == 0
        net.begin(ACTS["network_filter"], act)
        assert lost() == 3
        net.end(ACTS["network_filter"], act)
        assert lost() == 0
    finally:
        for place, (link, address) in ends.items():
            netns.run(place, ["ip", "address", "del", address, "dev", link])


def test_two_acts_in_one_pod_end_each_for_itself(net: Site) -> None:
    """The end of the first leaves the second as it is."""
    first = net.act("network_filter", "first", effect="refuse", direction="out", **NAMES)
    second = net.act("network_filter", "second", effect="drop", **TO_NODE, ports=[8080], protocols=["tcp"])
    for act in (first, second):
        net.begin(ACTS["network_filter"], act)
    assert (resolved("store"), outcome()) == ("refused", "timeout")
    net.end(ACTS["network_filter"], first)
    assert (resolved("store"), outcome()) == (["10.231.77.50"], "timeout")


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("network_filter", {"effect": "drop"}),
        ("network_delay", {"delay_ms": 100, **TO_NODE}),
        ("network_bandwidth", {"rate_bit_s": 1e6}),
        ("dns_answers", {"names": ["store"], "answer": "nxdomain"}),
        ("http_errors", {"ports": [8080], **TO_NODE}),
    ],
    ids=NETWORK,
)
def test_an_act_that_nobody_keeps_ends_by_the_clock_of_the_node(
    net: Site, kind: str, params: dict, tmp_path: Any
) -> None:
    """The harness is dead and says nothing more: after the lifetime nothing is left."""
    acts = OpenActs(Notes(tmp_path), ACTS)
    acts.start()
    try:
        act = net.act(kind, **params)
        assert acts.begin(replace(act, lifetime_s=0.3))["netns"] == net.pod
        wait_until("nothing to be left", lambda: not left() and not acts.listed(), 5)
    finally:
        acts.close()


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("network_delay", {"delay_ms": 100, **TO_NODE}),
        ("dns_answers", {"names": ["store"], "answer": "nxdomain"}),
        ("http_errors", {"ports": [8080], **TO_NODE}),
    ],
)
def test_a_child_ends_with_its_agent_and_leads_nothing_astray(net: Site, kind: str, params: dict) -> None:
    """The agent's death closes its end of the pipe: no process stays, names and upstreams are right again."""
    act = net.act(kind, **params)
    net.begin(ACTS[kind], act)
    child = children._running.pop(act.id)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    child.stdout.close()
    child.wait(5)
    assert children.found() == []
    assert (resolved("store"), status()) == (["10.231.77.50"], "HTTP/1.1 200 OK")
    assert exchange()["connect_s"] < 0.05


def test_another_agent_undoes_what_one_that_was_killed_noted(net: Site) -> None:
    """The note alone is enough: the process is found by its mark, not by a number."""
    act = net.act("dns_answers", names=["store"], answer="nxdomain")
    net.begin(ACTS["dns_answers"], act)
    forgotten = children._running.pop(act.id)
    net.end(ACTS["dns_answers"], act)
    assert left() == []
    forgotten.wait(5)
    for pipe in (forgotten.stdin, forgotten.stdout):
        assert pipe is not None
        pipe.close()


def plant_chain(net: Site) -> str:
    chains.install(net.pod, "planted", [chains.Rule(hook="OUTPUT", words=("-p", "udp", "-j", "ACCEPT"))])
    return "chain ECOCHAIN-CHAOS-"


def plant_node_chain(net: Site) -> str:
    chains.install(net.node, "planted", [chains.Rule(hook="INPUT", words=("-p", "udp", "-j", "ACCEPT"))])
    return "chain ECOCHAIN-CHAOS-"


def plant_redirect(net: Site) -> str:
    words = ("-p", "udp", "--dport", "9", "-j", "REDIRECT", "--to-ports", "9")
    chains.install(net.pod, "planted", [chains.Rule(table="nat", hook="OUTPUT", words=words)])
    return "of iptables nat"


def plant_queueing(net: Site) -> str:
    queueing.install(net.pod, "eth0", ["tbf", "rate", "1gbit", "burst", "1mb", "latency", "1ms"])
    return "queueing discipline tbf ecc0: on eth0"


def plant_child(net: Site) -> str:
    children.start(net.pod, "planted", "chaos.node.delayer", ["7", "1", "0"], longest_s=30)
    return "a child of a network act"


@pytest.mark.parametrize(
    "plant",
    [plant_chain, plant_node_chain, plant_redirect, plant_queueing, plant_child],
    ids=lambda plant: plant.__name__,
)
def test_a_planted_remainder_is_found_and_nothing_else(net: Site, plant: Any) -> None:
    """Without any note, and in the node's network too; others' chains are none of ours."""
    net.in_pod("iptables", "-N", "SOMEBODYS")
    try:
        words = plant(net)
        (found,) = left()
        assert words in found["what"]
    finally:
        for place in (net.pod, net.node):
            chains.remove(place, "planted")
        queueing.remove(net.pod, "eth0")
        children.end("planted")
        net.in_pod("iptables", "-X", "SOMEBODYS")


@pytest.mark.parametrize(
    ("kind", "params", "words"),
    [
        ("network_filter", {"effect": "explode"}, "effect: expected one of drop, reset, refuse"),
        ("network_filter", {"effect": "drop", "ratio": 2}, "ratio: expected a number from 0.001 to 1"),
        ("network_filter", {"effect": "drop", "ports": [53]}, "protocols: expected tcp, udp or both"),
        ("network_filter", {"effect": "drop", "addresses": ["store"]}, "addresses: expected IP addresses"),
        ("network_filter", {"effect": "drop", "strength": 3}, "network_filter: expected parameters of"),
        ("network_delay", {"delay_ms": "80ms"}, "delay_ms: expected a number"),
        ("network_bandwidth", {"rate_bit_s": 1}, "rate_bit_s: expected a number from 8000"),
        ("dns_answers", {"names": [], "answer": "nxdomain"}, "names: expected a list of names"),
        ("dns_answers", {"names": ["a"], "answer": "store"}, "answer: expected an IPv4 address or nxdomain"),
        ("http_errors", {"ports": [80], **TO_NODE, "status": 200}, "status: expected a number from 500"),
        ("http_errors", {"status": 503}, "expected addresses and ports"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(net: Site, kind: str, params: dict, words: str) -> None:
    """Before anything is noted or touched."""
    with pytest.raises(MisuseError, match=words):
        net.begin(ACTS[kind], net.act(kind, **params))
    assert net.noted == {}


def test_the_nodes_own_network_is_refused(net: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod with hostNetwork has no network of its own: all pods of its node would be hit."""
    monkeypatch.setattr(netns, "of_container", lambda _: net.node)
    with pytest.raises(RefusedError, match="uses the node's own network"):
        ACTS["network_filter"].check(net.act("network_filter", effect="drop"))


def test_a_link_that_is_shaped_already_is_refused(net: Site) -> None:
    """What a network plugin made could not be put back."""
    theirs = ["tbf", "rate", "1gbit", "burst", "1mb", "latency", "1ms"]
    net.in_pod("tc", "qdisc", "add", "dev", "eth0", "root", "handle", "5:", *theirs)
    try:
        with pytest.raises(RefusedError, match="already has the queueing discipline tbf 5:"):
            ACTS["network_bandwidth"].check(net.act("network_bandwidth", rate_bit_s=1e6))
    finally:
        net.in_pod("tc", "qdisc", "del", "dev", "eth0", "root")


def test_a_kernel_that_lacks_a_mechanism_is_refused(net: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal has what the kernel says; it was asked in a network of no use."""

    def lacking(argv: list[str], **_: Any) -> None:
        raise CommandError(argv, 2, "Extension statistic revision 0 not supported, missing kernel module?")

    monkeypatch.setattr(chains, "run", lacking)
    monkeypatch.setattr(queueing, "run", lacking)
    for kind, params in (
        ("network_filter", {"effect": "drop", "ratio": 0.5}),
        ("network_delay", {"delay_ms": 10}),
        ("network_bandwidth", {"rate_bit_s": 1e6}),
    ):
        with pytest.raises(RefusedError, match="statistic revision 0 not supported"):
            ACTS[kind].check(net.act(kind, **params))


def test_netem_is_used_where_the_kernel_has_it(net: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all of a pod's traffic; some peers' only is held back by our own process on any kernel."""
    asked: list[list[str]] = []
    monkeypatch.setattr(queueing, "offered", lambda _: None)
    monkeypatch.setattr(queueing, "install", lambda _inode, link, words: asked.append([link, *words]))
    evidence = net.begin(ACTS["network_delay"], net.act("network_delay", delay_ms=50, jitter_ms=5))
    assert evidence["mechanism"] == "netem"
    assert asked == [["eth0", "netem", "delay", "50ms", "5ms"]]
    narrow = net.begin(ACTS["network_delay"], net.act("network_delay", "narrow", delay_ms=50, **TO_NODE))
    assert narrow["mechanism"] == "nfqueue"


def test_what_is_left_in_a_network_that_has_gone_is_nothing(net: Site) -> None:
    """A deleted pod takes its rules along; undoing that is no error."""
    gone = max(netns.of_pods() | {net.node}) + 1_000_000
    assert netns.pid_in(gone) is None
    for kind in NETWORK:
        ACTS[kind].end(net.act(kind), {"inode": gone, "link": "eth0"})
        ACTS[kind].end(net.act(kind), {})


def test_a_process_of_another_user_of_the_words_is_no_child(net: Site) -> None:  # noqa: ARG001
    """The mark begins a word of the command line; a text that mentions it is no mark."""
    words = [sys.executable, "-c", "import time; time.sleep(30)", f"see {children.MARK}x"]
    with subprocess.Popen(words) as other:
        try:
            assert processes.look(other.pid) is not None
            assert children.found() == []
        finally:
            os.kill(other.pid, signal.SIGKILL)
