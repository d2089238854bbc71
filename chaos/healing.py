"""What is still open, in the cluster's ledger and in those of runs, and undoing all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from chaos.cluster_ledger import ClusterLedger, OpenFault
from chaos.healer import Healer
from chaos.ledger import Ledger
from core.errors import VerifyError


@dataclass(kw_only=True)
class Healed:
    """A fault that was open: where its entries are, and why it is not undone, if it is not."""

    fault: OpenFault
    in_cluster: bool = False
    in_runs: list[tuple[Path, str]] = field(default_factory=list)
    error: str | None = None


def find(
    cluster_ledger: ClusterLedger | None, ledgers: Iterable[Path], cluster_id: str = ""
) -> tuple[list[Healed], list[Healed]]:
    """Return what is open in this cluster and what is open elsewhere, each fault once, the latest first.

    A ledger that is not there holds nothing. A fault that Kubernetes undoes by itself has nothing to be
    undone, and is left out. `cluster_id` is this cluster's identity; what has another one is elsewhere.
    """
    found: dict[str, Healed] = {}
    if cluster_ledger is not None:
        for entry in cluster_ledger.outstanding():
            found[entry.fault_id] = Healed(fault=entry, in_cluster=True)
    for path in ledgers:
        if not path.exists():
            continue
        for record in Ledger(path, lambda: 0.0).outstanding():
            if record.get("kind") != "fault" or not record.get("undo"):
                continue
            entry = OpenFault.from_json({**record, "run": path.parent.name})
            one = found.setdefault(entry.fault_id, Healed(fault=entry))
            one.in_runs.append((path, str(record["id"])))
    here: list[Healed] = []
    elsewhere: list[Healed] = []
    for one in sorted(found.values(), key=lambda one: one.fault.opened_s, reverse=True):
        known = one.in_cluster or "" in {cluster_id, one.fault.cluster} or one.fault.cluster == cluster_id
        (here if known else elsewhere).append(one)
    return here, elsewhere


def heal(found: Iterable[Healed], healer: Healer, cluster_ledger: ClusterLedger | None, now_s: float) -> None:
    """Undo each and close its entries; what fails gets an `error`, and stays open."""
    for one in found:
        try:
            healer.heal(one.fault.undo)
            if one.in_cluster and cluster_ledger is not None:
                cluster_ledger.close(one.fault.fault_id)
        except VerifyError as error:
            one.error = str(error)
            continue
        for path, number in one.in_runs:
            Ledger(path, lambda: now_s).close(number)
