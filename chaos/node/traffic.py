"""Which packets of a network namespace an act is about, as its parameters say."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import MisuseError

DIRECTIONS = ("out", "in", "both")
PROTOCOLS = ("tcp", "udp")
PARAMS = frozenset({"direction", "addresses", "ports", "own_ports", "protocols"})
_HOOKS: Mapping[str, Sequence[str]] = {"out": ("OUTPUT",), "in": ("INPUT",), "both": ("OUTPUT", "INPUT")}


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Packets to (`out`) or from (`in`) peers, by their addresses and ports; empty means any.

    `own_ports` are this end's: those of a server are what its callers speak to, and none of its own calls.
    Loopback is never part of it. Addresses are those that the packets carry in this namespace: a pod's
    packets to a Service have the Service's address, and so have the answers.
    """

    direction: str
    addresses: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    own_ports: tuple[int, ...] = ()
    protocols: tuple[str, ...] = ()

    @classmethod
    def of(cls, params: Mapping[str, Any], *, direction: str = "both") -> Traffic:
        """Read an act's parameters; MisuseError names the key and what it may hold."""
        read = cls(
            direction=str(params.get("direction", direction)),
            addresses=tuple(map(_address, params.get("addresses", ()))),
            ports=tuple(map(_port, params.get("ports", ()))),
            own_ports=tuple(map(_port, params.get("own_ports", ()))),
            protocols=tuple(map(str, params.get("protocols", ()))),
        )
        if read.direction not in DIRECTIONS:
            raise MisuseError(f"direction: expected one of {', '.join(DIRECTIONS)}, got {read.direction!r}")
        strange = sorted(set(read.protocols) - set(PROTOCOLS))
        if strange:
            raise MisuseError(f"protocols: expected some of {', '.join(PROTOCOLS)}, got {strange}")
        if (read.ports or read.own_ports) and not read.protocols:
            raise MisuseError("protocols: expected tcp, udp or both beside ports, got none")
        return read

    def matches(self, families: Sequence[int]) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        """Yield family (4, 6), hook and the words of iptables that match, a rule each.

        `families` are those of the namespace; addresses bring their own.
        """
        for family, address in self._peers(families):
            for hook in _HOOKS[self.direction]:
                away = hook == "OUTPUT"
                place = ("!", "-o" if away else "-i", "lo")
                peer = ("-d" if away else "-s", address) if address else ()
                for ports in self._port_words(away=away):
                    yield family, hook, (*place, *peer, *ports)

    def _peers(self, families: Sequence[int]) -> Iterator[tuple[int, str]]:
        if self.addresses:
            yield from ((ipaddress.ip_network(one).version, one) for one in self.addresses)
        else:
            yield from ((family, "") for family in families)

    def _port_words(self, *, away: bool) -> Iterator[tuple[str, ...]]:
        if not self.protocols:
            yield ()
        theirs, ours = ("--dport", "--sport") if away else ("--sport", "--dport")
        for protocol in self.protocols:
            for peer in _either(theirs, self.ports):
                for own in _either(ours, self.own_ports):
                    yield ("-p", protocol, *peer, *own)


def number(
    params: Mapping[str, Any], key: str, low: float, high: float, default: float | None = None
) -> float:
    """Return a number of an act's parameters within its bounds; MisuseError names the key."""
    value = params.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise MisuseError(f"{key}: expected a number from {low:g} to {high:g}, got {value!r}")
    return float(value)


def known(kind: str, params: Mapping[str, Any], keys: frozenset[str]) -> None:
    """Raise MisuseError when an act has parameters that its kind does not know."""
    strange = sorted(set(params) - keys)
    if strange:
        raise MisuseError(f"{kind}: expected parameters of {sorted(keys)}, got {strange}")


def _either(option: str, ports: Sequence[int]) -> list[tuple[str, ...]]:
    return [(option, str(port)) for port in ports] or [()]


def _address(value: object) -> str:
    try:
        return str(ipaddress.ip_network(str(value)))
    except ValueError as error:
        raise MisuseError(f"addresses: expected IP addresses or networks, got {value!r}") from error


def _port(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise MisuseError(f"ports: expected numbers from 1 to 65535, got {value!r}")
    return value
