"""throughput: how fast bytes leave a pod, over its own link, to this node."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from chaos.node import netns
from core.errors import MisuseError

NAME = "throughput"
_MOST_BYTES = 256 * 1024 * 1024
_PIECE = b"\0" * 65536


def ask(*, container_id: str, address: str, size_bytes: int, timeout_s: float = 10.0) -> Mapping[str, Any]:
    """Return {bytes, elapsed_s, bit_s} of `size_bytes` from the pod's `address`, or of what came in time.

    This node connects to the pod and not the other way: kubelet does so as well, and so policies let it.
    """
    if not 0 < size_bytes <= _MOST_BYTES:
        raise MisuseError(f"size_bytes: expected 1 to {_MOST_BYTES}, got {size_bytes}")
    inode = netns.of_container(container_id)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = netns.call(inode, lambda: socket.create_server((address, 0), family=family))
    listening.settimeout(timeout_s)
    # A socket stays in the namespace that it was made in, whichever thread uses it.
    sender = threading.Thread(target=_send, args=(listening, size_bytes, timeout_s), daemon=True)
    sender.start()
    received, start_s = 0, time.monotonic()
    deadline_s = start_s + timeout_s
    with contextlib.suppress(OSError), _connected(listening.getsockname()[:2], timeout_s) as connection:
        start_s = time.monotonic()
        while received < size_bytes and time.monotonic() < deadline_s:
            part = connection.recv(len(_PIECE))
            if not part:
                break
            received += len(part)
    elapsed_s = max(time.monotonic() - start_s, 1e-6)
    sender.join()
    return {"bytes": received, "elapsed_s": elapsed_s, "bit_s": received * 8 / elapsed_s}


def _connected(where: tuple[str, int], timeout_s: float) -> socket.socket:
    return netns.call(netns.of_container(""), lambda: socket.create_connection(where, timeout=timeout_s))


def _send(listening: socket.socket, size_bytes: int, timeout_s: float) -> None:
    with listening, contextlib.suppress(OSError):
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(timeout_s)
            left = size_bytes
            while left > 0:
                left -= connection.send(_PIECE[: min(left, len(_PIECE))])
