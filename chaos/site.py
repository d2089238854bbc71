"""The site of faults in a cluster: agents, watchdog and ledger, made for a run and removed at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos import agents_site, permissions, watchdog_site
from chaos.cluster_agents import ClusterAgents
from chaos.cluster_ledger import NAMESPACE, ClusterLedger
from chaos.healer import Healer
from chaos.healing import find, heal
from chaos.lease import ExclusiveLease
from chaos.permissions import Permission
from chaos.powers import Powers
from chaos.undo import UNDOABLE
from clients.kubernetes import Cluster, group_of
from core.errors import EnvironmentFailedError

Record = Callable[..., None]
_CLAIM_TIMEOUT_S = 20.0
_RBAC = "rbac.authorization.k8s.io"


def needed(namespaces: Sequence[str]) -> list[Permission]:
    """Return what installing the site needs; a role may only be given by who has its rights."""
    everywhere = [
        *(Permission(verb=verb, resource="namespaces") for verb in ("get", "create", "delete")),
        *(Permission(verb=verb, resource="nodes") for verb in ("get", "list", "patch")),
        *(
            Permission(verb=verb, resource=resource, group=_RBAC)
            for resource in ("clusterroles", "clusterrolebindings")
            for verb in ("create", "patch", "list", "delete")
        ),
        *(Permission(verb="list", resource=resource, group=_RBAC) for resource in ("roles", "rolebindings")),
    ]
    return [*everywhere, *_within(NAMESPACE), *(one for name in namespaces for one in _abroad(name))]


def _abroad(namespace: str) -> list[Permission]:
    undoing = [
        Permission(verb=verb, resource=resource, group=group_of(resource), namespace=namespace)
        for verb, resources in UNDOABLE.items()
        for resource in resources
        if resource != "nodes"
    ]
    return [*_roles(namespace), *undoing]


def _within(namespace: str) -> list[Permission]:
    made = {
        "secrets": "",
        "serviceaccounts": "",
        "configmaps": "",
        "daemonsets": "apps",
        "deployments": "apps",
    }
    objects = [
        Permission(verb=verb, resource=resource, group=group, namespace=namespace)
        for resource, group in made.items()
        for verb in ("get", "create", "patch")
    ]
    pods = [Permission(verb=verb, resource="pods", namespace=namespace) for verb in ("list", "delete")]
    pods += [Permission(verb="delete", resource="daemonsets", group="apps", namespace=namespace)]
    pods += [Permission(verb="list", resource="events", namespace=namespace)]
    return [*objects, *pods, *_roles(namespace), *permissions.LASTING]


def _roles(namespace: str) -> list[Permission]:
    return [
        Permission(verb=verb, resource=resource, group=_RBAC, namespace=namespace)
        for resource in ("roles", "rolebindings")
        for verb in ("create", "patch", "delete")
    ]


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a run has installed: the agents on the nodes, and its claim, to be released at the end."""

    agents: ClusterAgents
    claim: ExclusiveLease


def install(
    cluster: Cluster,
    *,
    image: str,
    run_id: str,
    record: Record,
    namespaces: Sequence[str],
    powers: Powers | None = None,
    say: Callable[[str], None] = lambda _: None,
    timeout_s: float = 90.0,
) -> Site:
    """Install agents and watchdog, and return when they answer and watch; the run then holds the site.

    `namespaces` are those of the workloads. What a dead run left open is undone first, which `say` is told,
    and its site removed.
    Raises RefusedError (a permission is missing, by name; another run has the site), WaitTimeoutError.
    """
    permissions.require(cluster, needed(namespaces))
    agents = agents_site.install(
        cluster,
        image=image,
        run_id=run_id,
        record=record,
        heal=lambda found: heal_all(cluster, found, powers, say),
        timeout_s=timeout_s,
    )
    # A client of its own, since the claim is renewed by a thread.
    own = Cluster(cluster.kubeconfig, cluster.context)
    claim = agents_site.claim(own, run_id).acquire(_CLAIM_TIMEOUT_S)
    watchdog_site.install(
        cluster, image=image, run_id=run_id, record=record, namespaces=namespaces, timeout_s=timeout_s
    )
    return Site(agents=agents, claim=claim)


def remove(cluster: Cluster, run_id: str, *, powers: Powers | None = None) -> None:
    """Undo what is open, and remove all that this run installed; what is gone already is no error.

    Raises EnvironmentFailedError, after the removal, that names what could not be undone.
    """
    if agents_site.run_of(cluster) != run_id.lower():
        return
    failed = ""
    try:
        heal_all(cluster, agents_site.attach(cluster), powers)
    except EnvironmentFailedError as error:
        failed = str(error)
    watchdog_site.remove(cluster)
    agents_site.remove(cluster)
    if failed:
        raise EnvironmentFailedError(failed)


def heal_all(
    cluster: Cluster,
    agents: ClusterAgents | None,
    powers: Powers | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Undo all that the cluster's ledger has open; EnvironmentFailedError names what could not be undone."""
    books = ClusterLedger(cluster)
    found, _ = find(books, [])
    heal(found, Healer(cluster, agents, powers), books, time.time())
    for one in found:
        say(f"{one.fault.fault_id}, left open by run {one.fault.run}: {one.error or 'undone'}")
    failed = [f"{one.fault.fault_id}: {one.error}" for one in found if one.error]
    if failed:
        raise EnvironmentFailedError(f"still open: {'; '.join(failed)}")
