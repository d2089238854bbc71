"""The outbox and its client, over a real server on loopback and a proxy that is none."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from clients.kubernetes import ApiError
from clients.outbox import OutboxClient, OutboxRestartedError
from core.errors import EnvironmentFailedError, MisuseError
from core.outbox import TOKEN_HEADER, Outbox, unpack

TOKEN = "a-token"


class Direct:
    """The proxy's surface, leading to loopback."""

    def __init__(self) -> None:
        self.broken = 0
        self.port = 0  # another pod of the same name answers there

    def proxy(
        self,
        pod: str,
        namespace: str,
        port: int,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port or port, timeout=timeout_s)
        try:
            connection.request(method, f"/{path}", body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if self.broken:
            self.broken -= 1
            raise ApiError(f"{namespace}/{pod}", 0, "the answer was lost")
        if answer.status >= 400:
            raise ApiError(f"{namespace}/{pod}", answer.status, data.decode())
        return data


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    made = Outbox(
        TOKEN,
        lambda: 1000.0,
        host="127.0.0.1",
        max_bytes=2000,
        commands={"double": lambda body: {"twice": 2 * body["number"]}, "refuse": _refuse, "break": _break},
    )
    made.start()
    yield made
    made.close()


def _refuse(_: Mapping[str, Any]) -> Mapping[str, Any]:
    raise MisuseError("number: expected a small one")


def _break(_: Mapping[str, Any]) -> Mapping[str, Any]:
    raise RuntimeError("broken")


@pytest.fixture
def direct() -> Direct:
    return Direct()


@pytest.fixture
def client(outbox: Outbox, direct: Direct) -> OutboxClient:
    return OutboxClient(direct, "ns", "pod", outbox.port, TOKEN)


def test_records_arrive_once_and_in_order(outbox: Outbox, client: OutboxClient) -> None:
    """What is put is received, nothing twice, and it is forgotten once it is acknowledged."""
    outbox.put([{"kind": "a"}, {"s": ["é", 1.5]}])
    outbox.put([])
    outbox.put([{"kind": "b"}])
    received = client.receive()
    assert (received.records, received.missed) == ([{"kind": "a"}, {"s": ["é", 1.5]}, {"kind": "b"}], 0)
    assert not outbox.wait_fetched(0.0), "received, but not yet acknowledged"
    assert client.receive().records == []
    assert outbox.wait_fetched(0.0)


def test_a_lost_answer_loses_nothing(outbox: Outbox, client: OutboxClient, direct: Direct) -> None:
    """Batches whose answer did not arrive come again."""
    outbox.put([{"n": 1}])
    direct.broken = 1
    with pytest.raises(ApiError):
        client.receive()
    outbox.put([{"n": 2}])
    assert client.receive().records == [{"n": 1}, {"n": 2}]


def test_what_gave_way_is_counted(outbox: Outbox, client: OutboxClient) -> None:
    """A harness that fetches too late is told how many batches are missing."""
    outbox.put([{"n": 0}])
    assert client.receive().missed == 0
    for n in range(1, 41):
        outbox.put([{"n": n, "text": random.Random(n).randbytes(80).hex()}])
    received = client.receive()
    assert received.records[-1]["n"] == 40
    assert received.missed == 40 - len(received.records) > 0


def test_a_second_client_goes_on_where_the_first_one_ended(
    outbox: Outbox, client: OutboxClient, direct: Direct
) -> None:
    """What another client received is no gap; what nobody received is one, for a first client too."""
    outbox.put([{"n": 1}])
    client.receive()
    client.receive()
    second = OutboxClient(direct, "ns", "pod", outbox.port, TOKEN)
    outbox.put([{"n": 2}])
    received = second.receive()
    assert (received.records, received.missed) == ([{"n": 2}], 0)
    second.receive()
    for n in range(40):
        outbox.put([{"text": random.Random(n).randbytes(80).hex()}])
    third = OutboxClient(direct, "ns", "pod", outbox.port, TOKEN).receive()
    assert third.missed == 40 - len(third.records) > 0


def test_a_large_queue_comes_in_parts(direct: Direct) -> None:
    """An answer is bounded; the next call gives the rest."""
    outbox = Outbox(TOKEN, time.time, host="127.0.0.1")
    outbox.start()
    try:
        for n in range(3):
            outbox.put([{"n": n, "text": random.Random(n).randbytes(1_500_000).hex()}])
        client = OutboxClient(direct, "ns", "pod", outbox.port, TOKEN)
        parts = [[one["n"] for one in client.receive().records] for _ in range(4)]
    finally:
        outbox.close()
    assert [n for part in parts for n in part] == [0, 1, 2]
    assert len(parts[0]) < 3


def test_the_clock_is_asked_between_two_looks_at_ours(client: OutboxClient) -> None:
    """An exchange has the time of the other side and ours before and after it."""
    looks = iter([5.0, 5.5])
    exchange = client.exchange(lambda: next(looks))
    assert (exchange.sent_s, exchange.their_s, exchange.received_s) == (5.0, 1000.0, 5.5)


def test_commands_answer_or_say_why_not(client: OutboxClient) -> None:
    """A refusal carries its words, a crash its error, and both leave the server alive."""
    with pytest.raises(ApiError, match=r"400 .*number: expected a small one"):
        client.command("refuse", {})
    with pytest.raises(ApiError, match=r"400 .*'number'"):
        client.command("double", {})
    with pytest.raises(ApiError, match=r"500 .*RuntimeError\('broken'\)"):
        client.command("break", {})
    with pytest.raises(ApiError, match="404"):
        client.command("nothing", {})
    assert client.command("double", {"number": 4}) == {"twice": 8}


def test_a_restarted_process_is_no_continuation(outbox: Outbox, client: OutboxClient, direct: Direct) -> None:
    """Its batch numbers begin anew, so taking them for the old ones would hide a loss."""
    outbox.put([{"n": 1}])
    client.receive()
    other = Outbox(TOKEN, time.time, host="127.0.0.1")
    other.start()
    direct.port = other.port
    try:
        with pytest.raises(OutboxRestartedError, match="pod pod: its process was started again"):
            client.receive()
        with pytest.raises(OutboxRestartedError):
            client.exchange(time.time)
    finally:
        other.close()


def test_without_the_token_nothing_is_told(outbox: Outbox, direct: Direct) -> None:
    """Neither a wrong token nor none opens the outbox, and an empty one cannot be set."""
    outbox.put([{"n": 1}])
    for headers in ({}, {TOKEN_HEADER: "another"}, {TOKEN_HEADER: "é".encode().decode("latin-1")}):
        for method, path in (("GET", "batches?after=0"), ("GET", "clock"), ("POST", "double")):
            with pytest.raises(ApiError, match="403"):
                direct.proxy("pod", "ns", outbox.port, path, method=method, headers=headers)
    with pytest.raises(MisuseError, match="token"):
        Outbox("", time.time)


@pytest.mark.parametrize("path", ["batches", "batches?after=", "batches?after=-1", "batches?after=x", "else"])
def test_a_wrong_path_is_refused(outbox: Outbox, direct: Direct, path: str) -> None:
    """A number is needed to acknowledge: a missing one must not mean all."""
    outbox.put([{"n": 1}])
    with pytest.raises(ApiError, match=r"40[04]"):
        direct.proxy("pod", "ns", outbox.port, path, headers={TOKEN_HEADER: TOKEN})
    assert not outbox.wait_fetched(0.0)


def test_a_torn_answer_is_an_error(outbox: Outbox) -> None:
    """A cut or a changed byte is never read as fewer records."""
    outbox.put([{"n": 1}])
    body = outbox.after(0)
    assert unpack(body).batches == [(1, [{"n": 1}])]
    for torn in (body[:-1], body[:20], body[:10], body[:-3] + b"xyz"):
        with pytest.raises(ValueError, match=r"."):
            unpack(torn)


def test_what_is_no_outbox_is_an_error(direct: Direct, outbox: Outbox) -> None:
    """Some other server's answer is an error with the pod's name."""

    class Other(Direct):
        def proxy(self, *_: Any, **__: Any) -> bytes:
            return b"ok"

    with pytest.raises(EnvironmentFailedError, match="pod pod: expected an outbox's answer"):
        OutboxClient(Other(), "ns", "pod", outbox.port, TOKEN).receive()
    assert json.loads(direct.proxy("p", "n", outbox.port, "clock", headers={TOKEN_HEADER: TOKEN}))
