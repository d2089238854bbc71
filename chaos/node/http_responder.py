"""The HTTP responder: answers every request with one status, in place of an upstream.

`python -m chaos.node.http_responder MARK LONGEST STATUS` in the target's network namespace. It says `ready
PORT`; the act's rules lead the connections there. Each connection ends after its answer, so that none
outlives the act.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from http import HTTPStatus

from chaos.node import chains, children

_PATIENCE_S = 5.0
_MOST_BYTES = 1_000_000


def serve(listening: socket.socket, status: int) -> None:
    """Answer; never returns."""
    body = b'{"detail": "ecochain-chaos"}'
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    while True:
        client, _ = listening.accept()
        threading.Thread(target=_answer, args=(client, head.encode(), body), daemon=True).start()


def _answer(client: socket.socket, head: bytes, body: bytes) -> None:
    with client, contextlib.suppress(OSError):
        client.settimeout(_PATIENCE_S)
        request = b""
        while b"\r\n\r\n" not in request and len(request) < _MOST_BYTES:
            part = client.recv(65536)
            if not part:
                return
            request += part
        client.sendall(head if request.startswith(b"HEAD ") else head + body)
        client.shutdown(socket.SHUT_WR)
        # Closed with something unread, it would reset the connection, and the answer might be lost.
        while client.recv(65536):
            pass


def main() -> None:
    """Serve until the agent ends; the rules go first."""
    own = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116 - one number of one file
    _, words = children.live(sys.argv, lambda act_id: chains.remove(own, act_id))
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    children.ready(f"ready {listening.getsockname()[1]}")
    serve(listening, int(words[0]))


if __name__ == "__main__":
    main()
