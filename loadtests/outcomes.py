"""What became of a request: the outcome and the phase of `samples/*.parquet`, from Locust's exception."""

from __future__ import annotations

import errno
import socket
from typing import Any

from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from locust.exception import CatchResponseError

# This machine's own failures, never the product's: no file handles, no ports, no memory for buffers.
_RUNNER = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}
_RESET = {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}


def outcome_of(exception: BaseException, response: Any) -> tuple[str, str]:  # noqa: PLR0911 - a table
    """Return (outcome, phase) of a failed request."""
    # A journey's own judgement stands over the error of the connection, if there was one.
    cause = getattr(response, "error", None) or exception
    cause = getattr(cause, "original", None) or cause
    if isinstance(cause, socket.gaierror):
        return "runner", "none"
    number = getattr(cause, "errno", None)
    if number in _RUNNER:
        return "runner", "connect"
    if isinstance(cause, ConnectionRefusedError):
        return "refused", "connect"
    if isinstance(cause, TimeoutError):
        return "timeout", "connect" if "connect" in str(cause).lower() else "first_byte"
    if isinstance(cause, HTTPConnectionClosed | ConnectionResetError) or number in _RESET:
        # With a status the head of the answer was there, and its body broke off.
        return ("truncated", "body") if getattr(response, "status_code", 0) else ("reset", "first_byte")
    if isinstance(cause, HTTPParseError):
        return "truncated", "body"
    status = int(getattr(response, "status_code", 0) or 0)
    if status and not 200 <= status < 400:
        return "status", "done"
    if isinstance(exception, CatchResponseError):
        return ("body", "done") if status else ("other", "none")
    return "other", "none"
