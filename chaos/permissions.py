"""What a fault has to be allowed to do, asked of the API server before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.cluster_ledger import NAMESPACE
from clients.kubernetes import Cluster
from core.errors import RefusedError


@dataclass(frozen=True, kw_only=True)
class Permission:
    """One right: a verb on a resource of an API group, perhaps on a subresource; no namespace: on all."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {f'{what}.{self.group}' if self.group else what}{where}"


def _own(verb: str, resource: str, group: str = "", subresource: str = "") -> Permission:
    return Permission(verb=verb, resource=resource, group=group, subresource=subresource, namespace=NAMESPACE)


# What the harness itself needs for a fault that lasts: the ledger, the heartbeat, the nodes' agents.
LASTING: Sequence[Permission] = (
    *(_own(verb, "configmaps") for verb in ("get", "list", "create", "delete", "patch")),
    *(_own(verb, "leases", "coordination.k8s.io") for verb in ("get", "create", "update")),
    *(_own(verb, "pods", subresource="proxy") for verb in ("get", "create")),
)


def looking_at_pods(namespace: str) -> list[Permission]:
    """Return what seeing a workload's replicas, and the Services that route to them, needs."""
    return [
        Permission(verb="get", resource="namespaces"),
        Permission(verb="get", resource="pods", namespace=namespace),
        Permission(verb="list", resource="pods", namespace=namespace),
        Permission(verb="list", resource="endpointslices", group="discovery.k8s.io", namespace=namespace),
    ]


def missing(cluster: Cluster, permissions: Iterable[Permission]) -> list[Permission]:
    """Return those that this identity lacks, by a SelfSubjectAccessReview each."""
    return [one for one in dict.fromkeys(permissions) if not _allowed(cluster, one)]


def require(cluster: Cluster, permissions: Iterable[Permission]) -> None:
    """Raise RefusedError that names every permission that is missing."""
    lacking = missing(cluster, permissions)
    if lacking:
        raise RefusedError(
            f"permissions: expected all that the fault needs, missing {', '.join(map(str, lacking))}; "
            "nothing was touched"
        )


def _allowed(cluster: Cluster, one: Permission) -> bool:
    attributes = {
        "verb": one.verb,
        "resource": one.resource,
        "group": one.group,
        "subresource": one.subresource,
        "namespace": one.namespace,
    }
    answer = cluster.request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
        },
    )
    return bool(answer.get("status", {}).get("allowed"))
