"""A probe's request: what is asked, of whom, and what counts as a good answer."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

from probes.response import ResponseReader


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a series asks, of whom, and what counts as a good answer.

    `address` is (family, sockaddr). `expected` is the set of good statuses, empty for 200 to 399. `handles`
    is how many file handles probes may use. `body` must occur in the answer's body. `offset_s` turns
    monotonic into Unix seconds. `single_use` closes the connection after one answer.
    """

    address: tuple[int, Any]
    tls: ssl.SSLContext | None
    server_name: str
    payload: bytes
    timeout_s: float
    expected: frozenset[int]
    body: bytes
    offset_s: float
    single_use: bool
    handles: int

    def fault(self, answer: ResponseReader) -> tuple[str, str]:
        """Return outcome and error of a whole answer."""
        status = answer.status
        if not (status in self.expected if self.expected else 200 <= status < 400):
            return "status", f"status {status}"
        if self.body and self.body not in answer.body:
            return "body", f"body lacks {self.body[:60]!r}"
        return "ok", ""
