"""The DNS responder: answers some names wrongly and asks the real server about all others.

`python -m chaos.node.dns_responder MARK LONGEST SERVER ANSWER NAME…` in the target's network namespace.
ANSWER is an address or `nxdomain`. It says `ready PORT`; the act's rules lead the queries there, all but its
own, which are marked.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence

from chaos.node import chains, children, resolver

MARK = 0xEC0C
NO_SUCH_NAME = "nxdomain"
_PATIENCE_S = 5.0
_PORT = 53


class Responder:
    """Answers over UDP in one thread, over TCP in one for each connection."""

    def __init__(self, server: str, answer: str, names: Sequence[str]) -> None:
        self._server, self._answer = server, answer
        self._names = frozenset(name.lower().rstrip(".") for name in names)
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self.port: int = self._udp.getsockname()[1]
        self._tcp = socket.create_server(("127.0.0.1", self.port))

    def serve(self) -> None:
        """Answer; never returns."""
        threading.Thread(target=self._serve_tcp, daemon=True).start()
        asking: dict[socket.socket, tuple[tuple[str, int], float]] = {}
        while True:
            readable, _, _ = select.select([self._udp, *asking], [], [], 1.0)
            for one in readable:
                if one is self._udp:
                    self._take(asking)
                    continue
                client, _ = asking.pop(one)
                with contextlib.suppress(OSError):
                    self._udp.sendto(one.recv(65535), client)
                one.close()
            now_s = time.monotonic()
            for late in [one for one, (_, until_s) in asking.items() if until_s < now_s]:
                del asking[late]
                late.close()

    def _take(self, asking: dict[socket.socket, tuple[tuple[str, int], float]]) -> None:
        query, client = self._udp.recvfrom(65535)
        wrong = self._wrong(query)
        if wrong is not None:
            self._udp.sendto(wrong, client)
            return
        forward = self._marked(socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            forward.connect((self._server, _PORT))
            forward.send(query)
        asking[forward] = client, time.monotonic() + _PATIENCE_S

    def _wrong(self, query: bytes) -> bytes | None:
        question = resolver.Question.of(query)
        if question is None or question.name not in self._names:
            return None
        if self._answer == NO_SUCH_NAME:
            return resolver.answer(query, question, code=resolver.NO_SUCH_NAME)
        return resolver.answer(query, question, code=resolver.NO_ERROR, address=self._answer)

    def _serve_tcp(self) -> None:
        while True:
            client, _ = self._tcp.accept()
            threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            client.settimeout(_PATIENCE_S)
            while True:
                query = _message(client)
                answer = self._wrong(query)
                if answer is None:
                    with self._marked(socket.SOCK_STREAM) as forward:
                        forward.settimeout(_PATIENCE_S)
                        forward.connect((self._server, _PORT))
                        forward.sendall(struct.pack("!H", len(query)) + query)
                        answer = _message(forward)
                client.sendall(struct.pack("!H", len(answer)) + answer)

    def _marked(self, kind: socket.SocketKind) -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        return made


def _message(connection: socket.socket) -> bytes:
    (length,) = struct.unpack("!H", _exactly(connection, 2))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def main() -> None:
    """Serve until the agent ends; the rules go first."""
    own = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116 - one number of one file
    _, words = children.live(sys.argv, lambda act_id: chains.remove(own, act_id))
    responder = Responder(words[0], words[1], words[2:])
    children.ready(f"ready {responder.port}")
    responder.serve()


if __name__ == "__main__":
    main()
