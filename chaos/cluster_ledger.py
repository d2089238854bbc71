"""The ledger in the cluster: what must be undone, where the watchdog finds it when the harness is gone.

A ConfigMap per open fault in the harness' own namespace. Its data `entry` is JSON {fault, fault_id, run,
opened_s, cluster, targets, undo: [a record of chaos.undo.Undo each]}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.undo import Undo
from clients.kubernetes import ApiError, Cluster, Json
from core.errors import EnvironmentFailedError

NAMESPACE = "ecochain-chaos"
LEDGER_LABEL = "ecochain.io/ledger"
OPEN, HEALED = "open", "healed"
HEALED_BY = "ecochain.io/healed-by"


@dataclass(frozen=True, kw_only=True)
class OpenFault:
    """A fault that is not known to be undone.

    `run` is the run's id, `opened_s` is on that run's clock, `cluster` is the identity of its cluster.
    """

    fault: str
    fault_id: str
    run: str
    targets: Sequence[Mapping[str, Any]]
    undo: Sequence[Undo]
    opened_s: float = 0.0
    cluster: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the record that `from_json` reads."""
        return {
            "fault": self.fault,
            "fault_id": self.fault_id,
            "run": self.run,
            "opened_s": self.opened_s,
            "cluster": self.cluster,
            "targets": [dict(one) for one in self.targets],
            "undo": [one.as_json() for one in self.undo],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> OpenFault:
        """Read a record of a ledger; KeyError or ValueError for what is none."""
        return cls(
            fault=record["fault"],
            fault_id=record["fault_id"],
            run=record.get("run", ""),
            opened_s=float(record.get("opened_s", record.get("t", 0.0))),
            cluster=record.get("cluster", ""),
            targets=record.get("targets", []),
            undo=[Undo.from_json(one) for one in record.get("undo", [])],
        )


class ClusterLedger:
    """The open faults of a cluster."""

    def __init__(self, cluster: Cluster, namespace: str = NAMESPACE) -> None:
        self._cluster, self._namespace = cluster, namespace

    def open(self, entry: OpenFault) -> None:
        """Write the entry, before the act. ApiError: it is not written, so nothing may be done."""
        labels = {LEDGER_LABEL: OPEN}
        self._cluster.create(
            "configmaps",
            {
                "metadata": {"name": _name(entry.fault_id), "namespace": self._namespace, "labels": labels},
                "data": {"entry": json.dumps(entry.as_json())},
            },
        )

    def close(self, fault_id: str) -> None:
        """Remove the entry: the fault is undone, and its end was seen. Twice is harmless."""
        self._cluster.delete("configmaps", _name(fault_id), self._namespace)

    def healed_by(self, fault_id: str) -> str | None:
        """Return who has marked the entry as undone, None while it is open."""
        found = self._cluster.get("configmaps", _name(fault_id), self._namespace)
        if found is None:
            return "somebody who removed its entry"
        if (found["metadata"].get("labels") or {}).get(LEDGER_LABEL) == OPEN:
            return None
        return str((found["metadata"].get("annotations") or {}).get(HEALED_BY, "somebody"))

    def healed(self, fault_id: str, by: str) -> None:
        """Mark the entry as undone by somebody; the harness, if it lives, sees it and closes it."""
        change = {"metadata": {"labels": {LEDGER_LABEL: HEALED}, "annotations": {HEALED_BY: by}}}
        try:
            self._cluster.patch("configmaps", _name(fault_id), self._namespace, change)
        except ApiError as error:
            if error.status != 404:
                raise

    def outstanding(self) -> list[OpenFault]:
        """Return the open entries, the latest first; EnvironmentFailedError names one that cannot be read."""
        return sorted(map(_read, self._entries(OPEN)), key=lambda one: one.opened_s, reverse=True)

    def sweep(self) -> None:
        """Remove the entries of faults that somebody has marked as undone."""
        for one in self._entries(HEALED):
            self._cluster.delete("configmaps", one["metadata"]["name"], self._namespace)

    def _entries(self, state: str) -> list[Json]:
        return self._cluster.list("configmaps", self._namespace, labels=f"{LEDGER_LABEL}={state}")


def identity(cluster: Cluster) -> str:
    """Return what tells this cluster from any other, also from a later one at the same address.

    It is the UID of the namespace kube-system, which lives as long as the cluster does; empty where that may
    not be seen.
    """
    try:
        found = cluster.get("namespaces", "kube-system")
    except ApiError as error:
        if error.status != 403:
            raise
        return ""
    return str(found["metadata"].get("uid", "")) if found else ""


def _name(fault_id: str) -> str:
    return f"fault-{fault_id.replace('_', '-')}"


def _read(found: Mapping[str, Any]) -> OpenFault:
    try:
        return OpenFault.from_json(json.loads(found["data"]["entry"]))
    except (KeyError, TypeError, ValueError) as error:
        name = f"configmap {found['metadata']['name']}"
        raise EnvironmentFailedError(f"{name}: expected a ledger's entry, got {error!r}") from error
