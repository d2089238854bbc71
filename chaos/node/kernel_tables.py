"""What the kernel itself says is in a network namespace: quick enough to be asked of every pod's."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from chaos.node import netns

_NETLINK_ROUTE, _NETLINK_NETFILTER = 0, 12
_DUMP = 0x1 | 0x300
_NF_TABLES_GET_CHAIN = (10 << 8) | 4
_GET_QDISC = 38
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_QDISC = struct.Struct("=BxxxiIII")
_TIMEOUT_S = 5.0


def names_chain(inode: int, prefix: str) -> bool:
    """Tell whether nf_tables of a namespace name a chain of this prefix; OSError where there are none."""
    return any(
        prefix.encode() in body
        for body in netns.call(inode, lambda: list(_dump(_NETLINK_NETFILTER, _NF_TABLES_GET_CHAIN, bytes(4))))
    )


def disciplines(inode: int) -> list[tuple[int, int]]:
    """Return the index of the link and the handle of every queueing discipline of a namespace."""
    bodies = netns.call(inode, lambda: list(_dump(_NETLINK_ROUTE, _GET_QDISC, bytes(_QDISC.size))))
    return [_QDISC.unpack_from(body)[1:3] for body in bodies]


def _dump(protocol: int, kind: int, request: bytes) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as kernel:
        kernel.settimeout(_TIMEOUT_S)
        kernel.bind((0, 0))
        kernel.send(_HEADER.pack(_HEADER.size + len(request), kind, _DUMP, 1, 0) + request)
        while True:
            data, at = kernel.recv(1 << 20), 0
            while at + _HEADER.size <= len(data):
                length, told, _, _, _ = _HEADER.unpack_from(data, at)
                body = data[at + _HEADER.size : at + length]
                if told == _DONE:
                    return
                if told == _ERROR:
                    raise OSError(-struct.unpack_from("=i", body)[0], "the kernel's tables")
                yield body
                at += (max(length, _HEADER.size) + 3) & ~3
