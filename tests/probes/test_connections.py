"""How connections are reused, and what their ends mean."""

from __future__ import annotations

import asyncio
from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Counting:
    """A handler that counts connections, and does something to each after an answer."""

    def __init__(self, after=None, answer=OK):
        self.connections = 0
        self.answers = []
        self.after, self.answer = after, answer

    async def __call__(self, reader, writer):
        self.connections += 1
        mine = self.connections
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.answers.append(mine)
                writer.write(self.answer)
                if self.after and await self.after(mine, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def test_new_connections_are_new_and_reused_ones_reused(probe):
    """Each probe of a `new` series has a connection of its own; a `reused` one keeps its pool."""
    new, reused = Counting(), Counting()
    probe(new, connection="new", ticks=10)
    probe(reused, connection="reused", ticks=20, pool=2)
    assert new.connections == 10
    assert (reused.connections, len(reused.answers)) == (2, 20)
    assert {reused.answers.count(one) for one in (1, 2)} == {10}, "the pool is used in turn"


def test_a_close_while_idle_is_no_failure(probe):
    """A server may end a kept connection between requests: it is replaced, and nothing failed."""

    async def close_after_answer(_mine, _reader, writer):
        await writer.drain()
        return True

    server = Counting(after=close_after_answer)
    samples = probe(server, connection="reused", ticks=10, pool=1)
    assert [(one.outcome, one.retry) for one in samples] == [("ok", False)] * 10
    assert server.connections == 10


def test_connection_close_is_respected(probe):
    """After `Connection: close` the connection is not used again, even if the server leaves it open."""
    server = Counting(answer=OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    samples = probe(server, connection="reused", ticks=5, pool=1)
    assert [one.outcome for one in samples] == ["ok"] * 5
    assert server.connections == 5


def test_a_failed_reused_connection_is_followed_at_once_by_a_fresh_one(probe):
    """The failure counts as it is, and a retry on a new connection tells a reset from an outage."""

    async def abort_second_request(mine, reader, writer):
        if mine == 1:
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
            return True
        return False

    server = Counting(after=abort_second_request)
    samples = probe(server, connection="reused", ticks=3, gap_s=0.1, pool=1)
    assert [(one.outcome, one.retry) for one in samples] == [
        ("ok", False),
        ("reset", False),
        ("ok", True),
        ("ok", False),
    ]
    failed, retry = samples[1], samples[2]
    assert retry.scheduled_s >= failed.finished_s
    assert server.connections == 2, "the fresh connection is kept for the next probe"


def test_a_fresh_connection_that_fails_is_not_tried_again(probe):
    """Only a reused connection that fails leaves a question open."""

    async def abort(_mine, _reader, writer):
        writer.transport.abort()
        return True

    samples = probe(Counting(after=abort, answer=b""), connection="reused", ticks=3)
    assert [(one.outcome, one.retry) for one in samples] == [("reset", False)] * 3


def test_a_slow_answer_does_not_hold_the_next_probe_up(probe):
    """While one answer is awaited, the next ticks go out on connections of their own."""

    async def stall_first(mine, _reader, _writer):
        await asyncio.sleep(0.5 if mine == 1 else 0)
        return False

    class Stalling(Counting):
        async def __call__(self, reader, writer):
            self.connections += 1
            mine = self.connections
            await reader.readuntil(b"\r\n\r\n")
            if mine == 1:
                await asyncio.sleep(0.5)
            writer.write(OK)
            await writer.drain()
            writer.close()

    samples = probe(Stalling(), connection="reused", ticks=10, pool=1)
    by_schedule = sorted(samples, key=lambda one: one.scheduled_s)
    assert [one.outcome for one in by_schedule] == ["ok"] * 10
    stalled, *others = by_schedule
    assert all(one.finished_s < stalled.finished_s for one in others)
    assert others[-1].sent_s < stalled.finished_s


def test_new_connections_leave_no_port_behind(probe):
    """A probe's connection ends with a reset after its answer, so no port waits in TIME_WAIT."""
    ports = []

    async def note_port(_mine, _reader, writer):
        ports.append((writer.get_extra_info("peername")[1], writer.get_extra_info("sockname")[1]))
        return False

    samples = probe(Counting(after=note_port), connection="new", ticks=50, gap_s=0.002)
    assert [one.outcome for one in samples] == ["ok"] * 50
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    waiting = {
        tuple(int(end.partition(":")[2], 16) for end in line[1:3]) for line in lines if line[3] == "06"
    }
    assert len(set(ports)) == 50
    assert not waiting & set(ports)
