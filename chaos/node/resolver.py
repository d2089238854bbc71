"""What a container's resolver asks, and how: its resolv.conf, and messages of DNS (RFC 1035)."""

from __future__ import annotations

import ipaddress
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.node import processes
from core.errors import MisuseError, RefusedError

TYPES = {"A": 1, "AAAA": 28}
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3
_HEAD = struct.Struct("!HHHHHH")
_ANSWERS, _AUTHORITATIVE, _RECURSION_OFFERED, _RECURSION_DESIRED = 0x8000, 0x0400, 0x0080, 0x0100


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """A resolv.conf: the first name server, and the names that are tried for a short one."""

    server: str
    search: tuple[str, ...] = ()
    ndots: int = 1

    @classmethod
    def parse(cls, text: str) -> Resolver:
        """Read a resolv.conf; RefusedError when it names no server."""
        servers: list[str] = []
        search: tuple[str, ...] = ()
        ndots = 1
        for line in text.splitlines():
            words = line.split("#")[0].split()
            if words[:1] == ["nameserver"]:
                servers += words[1:2]
            elif words[:1] in (["search"], ["domain"]):
                search = tuple(words[1:])
            elif words[:1] == ["options"]:
                for word in words[1:]:
                    if word.startswith("ndots:"):
                        ndots = int(word.removeprefix("ndots:"))
        if not servers:
            raise RefusedError("the container's /etc/resolv.conf names no name server")
        return cls(server=servers[0], search=search, ndots=ndots)

    @classmethod
    def of_container(cls, container_id: str) -> Resolver:
        """Read a container's; RefusedError when the container does not run or has none."""
        pid = processes.main_of(container_id).id.pid
        path = processes.PROC / str(pid) / "root" / "etc" / "resolv.conf"
        try:
            return cls.parse(path.read_text())
        except OSError as error:
            raise RefusedError(f"container {container_id}: {path}: {error}") from error

    def candidates(self, name: str) -> list[str]:
        """Return the full names that are asked for, in their order, as glibc does."""
        if name.endswith("."):
            return [name.rstrip(".")]
        searched = [f"{name}.{one.rstrip('.')}" for one in self.search]
        return [name, *searched] if name.count(".") >= self.ndots else [*searched, name]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A query's question: the name in lower case without its last dot, and its type's number."""

    name: str
    type: int
    end: int

    @classmethod
    def of(cls, query: bytes) -> Question | None:
        """Read the first question of a message; None if it has none that can be read."""
        labels, at = [], _HEAD.size
        try:
            while (length := query[at]) != 0:
                if length > 63:
                    return None
                labels.append(query[at + 1 : at + 1 + length].decode("ascii"))
                at += 1 + length
            (kind,) = struct.unpack_from("!H", query, at + 1)
        except (IndexError, UnicodeDecodeError, struct.error):
            return None
        return cls(name=".".join(labels).lower(), type=kind, end=at + 5)


def query(name: str, kind: str) -> bytes:
    """Return a query for a name; MisuseError for a name or a type that cannot be asked for."""
    if kind not in TYPES:
        raise MisuseError(f"type: expected one of {', '.join(TYPES)}, got {kind!r}")
    head = _HEAD.pack(secrets.randbelow(65536), _RECURSION_DESIRED, 1, 0, 0, 0)
    return head + _encoded(name) + struct.pack("!HH", TYPES[kind], 1)


def answer(asked: bytes, question: Question, *, code: int, address: str = "") -> bytes:
    """Return an answer that no cache keeps: an error, an address of the asked type, or no address."""
    number, flags = struct.unpack_from("!HH", asked)
    records: Sequence[bytes] = ()
    if address:
        packed = ipaddress.ip_address(address).packed
        if TYPES["A" if len(packed) == 4 else "AAAA"] == question.type:
            records = (struct.pack("!HHHIH", 0xC00C, question.type, 1, 0, len(packed)) + packed,)
    flags = _ANSWERS | _AUTHORITATIVE | _RECURSION_OFFERED | (flags & _RECURSION_DESIRED) | code
    head = _HEAD.pack(number, flags, 1, len(records), 0, 0)
    return head + asked[_HEAD.size : question.end] + b"".join(records)


def read_answer(message: bytes) -> tuple[int, list[str]]:
    """Return the error code of an answer and its addresses; ValueError for what is none."""
    try:
        _, flags, questions, answers, _, _ = _HEAD.unpack_from(message)
        at = _HEAD.size
        for _ in range(questions):
            at = _after_name(message, at) + 4
        addresses = []
        for _ in range(answers):
            at = _after_name(message, at)
            kind, _, _, length = struct.unpack_from("!HHIH", message, at)
            at += 10
            if kind in TYPES.values():
                addresses.append(str(ipaddress.ip_address(message[at : at + length])))
            at += length
    except (IndexError, struct.error) as error:
        raise ValueError(f"no answer of DNS: {message[:40]!r}") from error
    return flags & 0xF, addresses


def _after_name(message: bytes, at: int) -> int:
    while message[at] != 0:
        if message[at] >= 0xC0:
            return at + 2
        at += 1 + message[at]
    return at + 1


def _encoded(name: str) -> bytes:
    labels = name.rstrip(".").encode("ascii").split(b".")
    if not all(0 < len(label) < 64 for label in labels):
        raise MisuseError(f"name: expected labels of 1 to 63 characters, got {name!r}")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
