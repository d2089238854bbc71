"""An upstream named by its Service: what packets towards it carry, and where it can be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaos.permissions import Permission
from clients.kubernetes import Cluster
from core.errors import InconclusiveError, RefusedError

_HTTPS = 443
# hello over MongoDB's wire protocol: OP_MSG with {hello: 1, $db: "admin"}.
_BSON = b"\x10hello\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00"
_DOCUMENT = (len(_BSON) + 4).to_bytes(4, "little") + _BSON
_HELLO = b"\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00" + _DOCUMENT
_HTTP = b"GET / HTTP/1.1\r\nHost: upstream\r\nConnection: close\r\n\r\n"
_GREETINGS: Mapping[int, bytes] = {
    6379: b"PING\r\n",
    27017: (len(_HELLO) + 4).to_bytes(4, "little") + _HELLO,
}


def greeting(port: int) -> str:
    """Return, hexadecimal, words that a server at this port answers: Redis, MongoDB, otherwise HTTP."""
    return _GREETINGS.get(port, _HTTP).hex()


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """A Service's addresses and ports.

    `addresses` are the Service's own and those of its endpoints: within a client's network packets carry
    either, since a node translates the Service's only after they have left the pod. `asked` is where to
    connect to.
    """

    name: str
    addresses: tuple[str, ...]
    ports: tuple[int, ...]
    asked: tuple[str, int]
    encrypted: bool = False


def split(service: str, namespace: str) -> tuple[str, str]:
    """Return name and namespace of a Service given as NAME or NAME.NAMESPACE; RefusedError otherwise."""
    name, dot, other = service.partition(".")
    if not name or "." in other or (dot and not other):
        raise RefusedError(f"service: expected NAME or NAME.NAMESPACE, got {service!r}")
    return name, other or namespace


def permissions(service: str, namespace: str) -> Sequence[Permission]:
    """Return what looking at a Service and its endpoints needs."""
    _, where = split(service, namespace)
    return [
        Permission(verb="get", resource="services", namespace=where),
        Permission(verb="list", resource="endpointslices", group="discovery.k8s.io", namespace=where),
    ]


def find(cluster: Cluster, service: str, namespace: str) -> Upstream:
    """Read a Service; RefusedError where it is no such Service, InconclusiveError without endpoints."""
    name, where = split(service, namespace)
    found = cluster.get("services", name, where)
    if found is None:
        raise RefusedError(f"service {name!r} does not exist in namespace {where!r}")
    spec = found["spec"]
    if spec.get("type") == "ExternalName":
        raise RefusedError(
            f"service {name} in {where} is of type ExternalName: its packets carry addresses that only a "
            "resolver knows; name a Service with endpoints"
        )
    own = [one for one in (spec.get("clusterIPs") or [spec.get("clusterIP")]) if one and one != "None"]
    tcp = [one for one in spec.get("ports") or () if one.get("protocol", "TCP") == "TCP"]
    endpoints: dict[str, None] = {}
    ports: dict[int, None] = dict.fromkeys(int(one["port"]) for one in tcp) if own else {}
    labels = f"kubernetes.io/service-name={name}"
    for piece in cluster.list("endpointslices", where, labels=labels):
        for endpoint in piece.get("endpoints") or ():
            endpoints.update(dict.fromkeys(endpoint.get("addresses") or ()))
        wanted = [one for one in piece.get("ports") or () if one.get("protocol", "TCP") == "TCP"]
        ports.update(dict.fromkeys(int(one["port"]) for one in wanted if one.get("port")))
    if not endpoints or not ports:
        raise InconclusiveError(f"service {name} in {where} has no endpoints: nothing was touched")
    return Upstream(
        name=f"{name}.{where}",
        addresses=(*own, *endpoints),
        ports=tuple(ports),
        asked=((own or list(endpoints))[0], next(iter(ports))),
        encrypted=_HTTPS in ports or any(one.get("name") == "https" for one in tcp),
    )


def fully_within(cluster: Cluster, namespace: str, uids: frozenset[str]) -> dict[str, tuple[str, int]]:
    """Return, by name, address and port of the Services all of whose endpoints are among these pods."""
    found: dict[str, tuple[str, int]] = {}
    for service in cluster.list("services", namespace):
        spec, name = service["spec"], service["metadata"]["name"]
        own = spec.get("clusterIP")
        if not own or own == "None" or not spec.get("ports"):
            continue
        behind = {
            (endpoint.get("targetRef") or {}).get("uid")
            for piece in cluster.list(
                "endpointslices", namespace, labels=f"kubernetes.io/service-name={name}"
            )
            for endpoint in piece.get("endpoints") or ()
        }
        if behind and behind <= uids:
            found[name] = (own, int(spec["ports"][0]["port"]))
    return found
