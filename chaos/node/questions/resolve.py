"""resolve: what a container's name server answers, asked as the container's resolver would ask."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

from chaos.node import netns, resolver
from chaos.node.resolver import Resolver

NAME = "resolve"
_PORT = 53


def ask(*, container_id: str, name: str, kind: str = "A", timeout_s: float = 2.0) -> Mapping[str, Any]:
    """Return {outcome, addresses, asked, server, elapsed_s}; a short name is tried with the search domains.

    The outcome is `answered`, `nxdomain`, `empty`, `error`, `refused` (nobody at the server's port) or
    `timeout` (`timeout_s` for each name that is tried).
    """
    found = Resolver.of_container(container_id)
    inode = netns.of_container(container_id)

    def measure() -> Mapping[str, Any]:
        start_s = time.monotonic()
        outcome, addresses, asked = "nxdomain", list[str](), name
        for asked in found.candidates(name):
            outcome, addresses = _query(found.server, asked, kind, timeout_s)
            if outcome not in ("nxdomain", "empty"):
                break
        return {
            "outcome": outcome,
            "addresses": addresses,
            "asked": asked,
            "server": found.server,
            "elapsed_s": time.monotonic() - start_s,
        }

    return netns.call(inode, measure)


def _query(server: str, name: str, kind: str, timeout_s: float) -> tuple[str, list[str]]:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect((server, _PORT))
            connection.send(resolver.query(name, kind))
            code, addresses = resolver.read_answer(connection.recv(65535))
        except TimeoutError:
            return "timeout", []
        except OSError:
            return "refused", []  # ICMP says so, or a rule in this namespace does
        except ValueError:
            return "error", []
    if code == resolver.NO_SUCH_NAME:
        return "nxdomain", []
    if code != resolver.NO_ERROR:
        return "error", []
    return ("answered" if addresses else "empty"), addresses
