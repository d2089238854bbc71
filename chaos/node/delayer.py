"""The delayer: a process that holds back packets of a netfilter queue, where the kernel has no netem.

`python -m chaos.node.delayer MARK LONGEST QUEUE DELAY_MS JITTER_MS` in the target's network namespace. It
speaks netlink (linux/netfilter/nfnetlink_queue.h) and sees no payload. Packets keep their order. When it
dies, or its queue is full, packets pass at once: the rule bypasses a queue that nobody listens to.
"""

from __future__ import annotations

import errno
import random
import select
import socket
import struct
import sys
import time
from collections import deque

from chaos.node import children

_NETLINK_NETFILTER = 12
_REQUEST, _ACK = 0x1, 0x4
_ERROR = 0x2
_QUEUE_SUBSYSTEM = 3 << 8
_PACKET, _CONFIG, _VERDICTS = _QUEUE_SUBSYSTEM | 0, _QUEUE_SUBSYSTEM | 2, _QUEUE_SUBSYSTEM | 3
_CFG_CMD, _CFG_PARAMS, _CFG_MAXLEN, _CFG_MASK, _CFG_FLAGS = 1, 2, 3, 4, 5
_BIND = 1
_COPY_META = 1
_FAIL_OPEN, _WHOLE_SEGMENTS = 1, 4
_PACKET_HEADER, _VERDICT_HEADER = 1, 2
_ACCEPT = 1
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 8 * 1024 * 1024
_MOST_PACKETS = 20_000
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")


class Queue:
    """A netfilter queue of this network namespace, bound to this process; OSError where it cannot be."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self.socket.bind((0, 0))
        self._configure(_attribute(_CFG_CMD, struct.pack("!BBH", _BIND, 0, 0)))
        self._configure(_attribute(_CFG_PARAMS, struct.pack("!IB", 0, _COPY_META)))
        self._configure(_attribute(_CFG_MAXLEN, struct.pack("!I", _MOST_PACKETS)))
        flags = struct.pack("!I", _FAIL_OPEN | _WHOLE_SEGMENTS)
        self._configure(_attribute(_CFG_FLAGS, flags) + _attribute(_CFG_MASK, flags))

    def received(self) -> list[int]:
        """Return the numbers of the packets that have come."""
        numbers: list[int] = []
        while True:
            try:
                data = self.socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return numbers
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                continue  # some came that could not be told of: they passed
            numbers += _packets(data)

    def accept_up_to(self, number: int) -> None:
        """Let pass the packet of this number and all before it."""
        verdict = _attribute(_VERDICT_HEADER, struct.pack("!II", _ACCEPT, number))
        self.socket.send(self._message(_VERDICTS, _REQUEST, verdict))

    def _configure(self, attributes: bytes) -> None:
        self.socket.send(self._message(_CONFIG, _REQUEST | _ACK, attributes))
        while True:
            data = self.socket.recv(65536)
            _, kind, _, _, _ = _HEADER.unpack_from(data)
            if kind == _ERROR:
                (number,) = struct.unpack_from("=i", data, _HEADER.size)
                if number:
                    raise OSError(-number, f"netfilter queue {self._number}")
                return

    def _message(self, kind: int, flags: int, attributes: bytes) -> bytes:
        body = struct.pack("!BBH", 0, 0, self._number) + attributes
        return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body


def delay(queue: Queue, *, delay_s: float, jitter_s: float) -> None:
    """Let each packet pass `delay_s` after it came, plus or minus up to `jitter_s`; never returns."""
    random_s = random.Random()  # noqa: S311 - noise, no secret
    waiting: deque[tuple[float, int]] = deque()
    last_due_s = 0.0
    while True:
        timeout_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        select.select([queue.socket], [], [], timeout_s)
        now_s = time.monotonic()
        for number in queue.received():
            due_s = now_s + delay_s + random_s.uniform(-jitter_s, jitter_s)
            last_due_s = max(last_due_s, due_s)
            waiting.append((last_due_s, number))
        over = None
        while waiting and waiting[0][0] <= now_s:
            over = waiting.popleft()[1]
        if over is not None:
            queue.accept_up_to(over)


def _packets(data: bytes) -> list[int]:
    numbers, at = [], 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        if kind == _PACKET:
            inner, end = at + _HEADER.size + 4, at + length
            while inner + _ATTRIBUTE.size <= end:
                size, name = _ATTRIBUTE.unpack_from(data, inner)
                if name & 0x3FFF == _PACKET_HEADER:
                    numbers.append(struct.unpack_from("!I", data, inner + _ATTRIBUTE.size)[0])
                    break
                inner += (size + 3) & ~3
        at += (max(length, _HEADER.size) + 3) & ~3
    return numbers


def _attribute(name: int, value: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, name) + value + b"\0" * (-size % 4)


def main() -> None:
    """Serve until the agent ends."""
    _, words = children.live(sys.argv, lambda _: None)
    queue = Queue(int(words[0]))
    children.ready()
    delay(queue, delay_s=float(words[1]) / 1000, jitter_s=float(words[2]) / 1000)


if __name__ == "__main__":
    main()
