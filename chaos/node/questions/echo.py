"""echo: how many ICMP echoes come back, and after how long; the other end's kernel answers them."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from chaos.node import netns
from core.errors import MisuseError

NAME = "echo"
_HEAD = struct.Struct("!BBHHH")
_REQUEST = {4: 8, 6: 128}
_REPLY = {4: 0, 6: 129}
_MOST = 2000


def ask(
    *,
    address: str,
    container_id: str = "",
    count: int = 5,
    interval_s: float = 0.02,
    timeout_s: float = 1.0,
) -> Mapping[str, Any]:
    """Return {sent, lost, rtt_s: [those that came back]}; each is waited for `timeout_s` from its sending."""
    if not 0 < count <= _MOST:
        raise MisuseError(f"count: expected 1 to {_MOST}, got {count}")
    inode = netns.of_container(container_id)
    return netns.call(inode, lambda: _measure(address, count, interval_s, timeout_s))


def _measure(address: str, count: int, interval_s: float, timeout_s: float) -> Mapping[str, Any]:
    version = ipaddress.ip_address(address).version
    kind = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    own = int.from_bytes(os.urandom(2), "big")
    sent_s: dict[int, float] = {}
    rtt_s: dict[int, float] = {}
    with socket.socket(kind, socket.SOCK_RAW, protocol) as raw:
        raw.setblocking(False)
        start_s = time.monotonic()
        while True:
            now_s = time.monotonic()
            number = len(sent_s)
            if number < count and now_s >= start_s + number * interval_s:
                sent_s[number] = now_s
                # Refused by a rule in its own namespace, it is lost as its answer would be.
                with contextlib.suppress(OSError):
                    raw.sendto(_request(version, own, number), (address, 0))
                continue
            if number == count and (len(rtt_s) == count or now_s > sent_s[count - 1] + timeout_s):
                break
            next_s = start_s + number * interval_s if number < count else sent_s[count - 1] + timeout_s
            if select.select([raw], [], [], max(0.0, next_s - now_s) + 0.001)[0]:
                _take(raw.recv(65535), version, own, sent_s, rtt_s)
    in_time = [one for one in rtt_s.values() if one <= timeout_s]
    return {"sent": count, "lost": count - len(in_time), "rtt_s": in_time}


def _request(version: int, own: int, number: int) -> bytes:
    head = _HEAD.pack(_REQUEST[version], 0, 0, own, number)
    # The kernel fills in the checksum of ICMPv6, not that of ICMP.
    return _HEAD.pack(_REQUEST[version], 0, _checksum(head), own, number) if version == 4 else head


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return 0xFFFF - (total & 0xFFFF)


def _take(packet: bytes, version: int, own: int, sent_s: dict[int, float], rtt_s: dict[int, float]) -> None:
    start = (packet[0] & 0xF) * 4 if version == 4 else 0
    if len(packet) < start + _HEAD.size:
        return
    kind, _, _, identity, number = _HEAD.unpack_from(packet, start)
    if kind == _REPLY[version] and identity == own and number in sent_s:
        rtt_s.setdefault(number, time.monotonic() - sent_s[number])
