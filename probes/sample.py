"""One probe's record: when it was due, sent and finished, and how far it came."""

from __future__ import annotations

import errno
import socket
import ssl

# What is wrong on the machine that probes is never the product's downtime.
_RUNNER_ERRORS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.EADDRNOTAVAIL,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EPERM,
        errno.EACCES,
        errno.EAFNOSUPPORT,
        errno.EAGAIN,  # connect(2): no free local port or a full route cache
    }
)
_RESET_ERRORS = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN})


class Sample:
    """A probe in the making; `finished_s` is 0 until it has an outcome. Times are in Unix seconds.

    `phase` is the phase in which it ended: none (never began), connect, tls, first_byte, body, done.
    """

    __slots__ = (
        "error",
        "finished_s",
        "instance",
        "outcome",
        "phase",
        "retry",
        "scheduled_s",
        "sent_s",
        "series",
        "status",
        "version",
    )

    def __init__(self, series: str, scheduled_s: float, *, retry: bool = False) -> None:
        self.series = series
        self.scheduled_s = scheduled_s
        self.sent_s = 0.0
        self.finished_s = 0.0
        self.outcome = ""
        self.phase = "none"
        self.status = 0
        self.instance = ""
        self.version = ""
        self.error = ""
        self.retry = retry


def outcome_of(error: OSError, *, local: bool = False) -> tuple[str, str]:
    """Name the outcome and the text of a socket's error.

    `local` says that the kernel refused the call itself, before any packet: then a missing route is
    this machine's, not the product's.
    """
    if isinstance(error, ssl.SSLError):
        return "other", f"TLS: {error.reason or error}"
    number = error.errno or 0
    text = errno.errorcode.get(number, type(error).__name__)
    if isinstance(error, socket.gaierror):
        return "runner", f"resolver: {error.strerror}"
    if number in _RUNNER_ERRORS or (local and number == errno.ENETUNREACH):
        return "runner", text
    if number == errno.ECONNREFUSED:
        return "refused", text
    if number in _RESET_ERRORS:
        return "reset", text
    return ("timeout" if number == errno.ETIMEDOUT else "other"), text
