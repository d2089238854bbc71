"""exchange: what becomes of TCP connections to an address and of the first words sent over them."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

from chaos.node import netns
from core.errors import MisuseError

NAME = "exchange"
OUTCOMES = ("answered", "closed", "silent", "reset", "refused", "unreachable", "timeout")
_MOST = 500


def ask(
    *,
    address: str,
    port: int,
    container_id: str = "",
    greeting: str = "",
    count: int = 1,
    interval_s: float = 0.02,
    timeout_s: float = 1.0,
) -> Mapping[str, Any]:
    """Return {attempts: [{outcome, connect_s, answer_s, answer}]}, one after the other.

    `greeting` is hexadecimal; without one, an attempt ends with the connection (`closed`). `answered` has the
    answer's first bytes as text; `closed` means without an answer, `silent` that none came in time; `reset`
    once the connection stood; `refused`, `unreachable`, `timeout` before that.
    """
    if not 0 < count <= _MOST:
        raise MisuseError(f"count: expected 1 to {_MOST}, got {count}")
    words = bytes.fromhex(greeting)
    inode = netns.of_container(container_id)

    def measure() -> list[Mapping[str, Any]]:
        attempts = []
        for number in range(count):
            if number:
                time.sleep(interval_s)
            attempts.append(_attempt(address, port, words, timeout_s))
        return attempts

    return {"attempts": netns.call(inode, measure)}


def _attempt(address: str, port: int, greeting: bytes, timeout_s: float) -> Mapping[str, Any]:
    start_s = time.monotonic()
    try:
        connection = socket.create_connection((address, port), timeout=timeout_s)
    except ConnectionRefusedError:
        return {"outcome": "refused"}
    except TimeoutError:
        return {"outcome": "timeout"}
    except OSError as error:
        return {"outcome": "unreachable", "answer": str(error)}
    connect_s = time.monotonic() - start_s
    with connection:
        outcome, answer = _converse(connection, greeting) if greeting else ("closed", b"")
    return {
        "outcome": outcome,
        "connect_s": connect_s,
        "answer_s": time.monotonic() - start_s,
        "answer": answer[:80].decode(errors="replace"),
    }


def _converse(connection: socket.socket, greeting: bytes) -> tuple[str, bytes]:
    try:
        connection.sendall(greeting)
        answer = connection.recv(4096)
    except TimeoutError:
        return "silent", b""
    except ConnectionError:
        return "reset", b""
    return ("answered" if answer else "closed"), answer
