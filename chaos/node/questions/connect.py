"""connect: TCP connections, or HTTP requests, to an address, from a container's network or the node's own."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from chaos.node import netns
from core.errors import MisuseError

NAME = "connect"
# A question is answered within the time that the API server's proxy waits.
_MOST_S = 50.0
_AT_ONCE = 32


def ask(
    *,
    host: str,
    port: int,
    container_id: str = "",
    count: int = 1,
    timeout_s: float = 2.0,
    interval_s: float = 0.0,
    at_once: int = 1,
    path: str = "",
) -> Mapping[str, Any]:
    """Connect `count` times, `at_once` at a time; with `path` ask for it by GET.

    Returns {results: [{connect_s, total_s, status, error}]}, each with None for what did not happen; an error
    is the exception's name and words. `timeout_s` is for each whole attempt, `interval_s` between the starts.
    """
    ipaddress.ip_address(host)
    rounds = -(-count // max(1, at_once))
    if count < 1 or not 0 < at_once <= _AT_ONCE:
        raise MisuseError(f"{NAME}: expected count > 0, 0 < at_once <= {_AT_ONCE}, got {count}, {at_once}")
    if timeout_s <= 0 or rounds * timeout_s + count * interval_s > _MOST_S:
        raise MisuseError(f"{NAME}: expected at most {_MOST_S:g} s in all, got {count} x {timeout_s:g} s")

    def attempts() -> list[dict[str, Any]]:
        # Threads are born in the network namespace of the thread that starts them.
        with ThreadPoolExecutor(max_workers=at_once) as pool:
            started = []
            for number in range(count):
                if number and interval_s:
                    time.sleep(interval_s)
                started.append(pool.submit(_attempt, host, port, timeout_s, path))
            return [one.result() for one in started]

    return {"results": netns.call(netns.of_container(container_id), attempts)}


def _attempt(host: str, port: int, timeout_s: float, path: str) -> dict[str, Any]:
    result: dict[str, Any] = dict.fromkeys(("connect_s", "total_s", "status", "error"))
    begun_s = time.monotonic()
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as peer:
            result["connect_s"] = time.monotonic() - begun_s
            if path:
                result["status"] = _get(peer, host, path, begun_s + timeout_s)
            result["total_s"] = time.monotonic() - begun_s
    except (OSError, ValueError) as error:
        result["error"] = f"{type(error).__name__}: {error}"
    return result


def _get(peer: socket.socket, host: str, path: str, deadline_s: float) -> int:
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while b"\r\n" not in answer:
        peer.settimeout(max(0.001, deadline_s - time.monotonic()))
        piece = peer.recv(4096)
        if not piece:
            raise ConnectionResetError("closed before the answer's first line")
        answer += piece
    words = answer.split(b"\r\n")[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise ValueError(f"no answer of HTTP: {answer[:60]!r}")
    return int(words[1])
