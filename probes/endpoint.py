"""Where a probe goes: a checked URL, and the address that its host name stands for."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from core.errors import MisuseError

Address = tuple[int, Any]  # address family and sockaddr


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A probe's URL in its parts."""

    host: str
    port: int
    tls: bool
    path: str

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Check a URL; MisuseError says what is wrong with it."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise MisuseError(f"URL {url!r}: {error}") from None
        if parts.scheme not in {"http", "https"}:
            raise MisuseError(
                f"URL {url!r}: expected http:// or https://, got {parts.scheme or 'no scheme'!r}"
            )
        if not parts.hostname:
            raise MisuseError(f"URL {url!r}: expected a host, got none")
        if port == 0:
            raise MisuseError(f"URL {url!r}: port: expected 1 to 65535, got 0")
        try:
            parts.hostname.encode("idna")
        except UnicodeError:
            raise MisuseError(
                f"URL {url!r}: expected a host name of labels with 1 to 63 characters, got {parts.hostname!r}"
            ) from None
        if parts.username is not None:
            raise MisuseError("URL: expected no user name or password in it: they would end up in the report")
        if not url.isascii() or any(c.isspace() for c in url):
            raise MisuseError(f"URL {url!r}: expected ASCII without spaces (percent-encode the rest)")
        tls = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(host=parts.hostname, port=port or (443 if tls else 80), tls=tls, path=path)

    @property
    def is_literal(self) -> bool:
        """Tell whether the host is an address that needs no resolver."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    def payload(self, *, single_use: bool) -> bytes:
        """Return the request's bytes."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == (443 if self.tls else 80) else f":{self.port}"
        keep = "close" if single_use else "keep-alive"
        return (
            f"GET {self.path} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: ecochain-verify-probe\r\n"
            f"Accept: */*\r\nConnection: {keep}\r\n\r\n"
        ).encode()

    def resolve(self, *, present: Address | None = None, timeout_s: float = 1.0) -> Address:
        """Look the host up (blocking) and return the address to probe.

        Of several the one in use stays while it is still named; else the first that accepts a
        connection, as a client that tries them in turn would find, else the first. Raises OSError
        (socket.gaierror) when the name has no address.
        """
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        addresses: list[Address] = [(family, address) for family, _, _, _, address in found]
        if present in addresses:
            return present
        if len(addresses) > 1:
            for family, address in addresses:
                with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as attempt:
                    attempt.settimeout(timeout_s)
                    attempt.connect(address)
                    return family, address
        return addresses[0]

    def reach(self, timeout_s: float) -> None:
        """Connect once and close (blocking); OSError says why that is impossible."""
        family, address = self.resolve(timeout_s=timeout_s)
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(timeout_s)
            attempt.connect(address)
