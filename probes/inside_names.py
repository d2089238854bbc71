"""Names as a pod in the cluster resolves them: stale ones would be probed as if they were the product."""

from __future__ import annotations

from collections.abc import Iterable

from clients.kubernetes import Cluster
from core.errors import EnvironmentFailedError
from core.waiting import wait_until
from probes.inside import Inside, outbox

# A cluster has several name servers, each with a cache of its own, and asks one of them at random.
_TIMES_IN_A_ROW = 8


def wait_known(cluster: Cluster, inside: Inside, services: Iterable[str], timeout_s: float) -> None:
    """Wait until the agent finds each Service of the namespace, and the target, at its present ClusterIP.

    A name server may remember the address that a Service of that name had before it was made anew.
    Raises WaitTimeoutError, or EnvironmentFailedError when there is no such Service.
    """
    client = outbox(cluster, inside, inside.agent)
    for service in (inside.target, *services):
        found = cluster.get("services", service, inside.namespace)
        if found is None:
            raise EnvironmentFailedError(f"service {inside.namespace}/{service}: not there")
        host, wanted = f"{service}.{inside.namespace}.svc", [str(found["spec"]["clusterIP"])]
        said: list[object] = []

        def known(host: str = host, wanted: list[str] = wanted, said: list[object] = said) -> bool:
            for _ in range(_TIMES_IN_A_ROW):
                said[:] = [client.command("resolve", {"host": host})]
                if said != [{"addresses": wanted}]:
                    return False
            return True

        wait_until(
            f"{host} to be {wanted[0]} wherever a pod asks",
            known,
            timeout_s,
            interval_s=0.3,
            last=lambda said=said: said,  # type: ignore[misc]
        )
