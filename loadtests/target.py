"""The target guard: load goes to the environment under test and to nothing else."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from core.errors import RefusedError


def admit_target(url: str, allowed_hosts: Collection[str]) -> None:
    """Raise RefusedError unless the URL's host is in the list and has only loopback or private addresses."""
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host:
        raise RefusedError(f"load target {url!r}: expected http://HOST[:PORT] or https://HOST[:PORT]")
    if host not in allowed_hosts:
        raise RefusedError(f"load target {url!r}: host {host!r} is not one of {sorted(allowed_hosts)}")
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, parts.port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise RefusedError(f"load target {url!r}: host {host!r} has no address: {error}") from error
    public = sorted(a for a in found if not ipaddress.ip_address(a.partition("%")[0]).is_private)
    if public:
        raise RefusedError(f"load target {url!r}: {public} is neither loopback nor private")
