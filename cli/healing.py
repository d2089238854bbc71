"""`verify heal`: undo the faults that a dead harness left open."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaos.agents_site import attach
from chaos.cluster_ledger import NAMESPACE, ClusterLedger, identity
from chaos.healer import Healer
from chaos.healing import Healed, find, heal
from chaos.heartbeat import HEARTBEAT, HEARTBEAT_S, Listener
from clients.kubernetes import Cluster
from core.errors import EnvironmentFailedError, RefusedError, WaitTimeoutError
from core.waiting import wait_until
from fixtures.settings import load_settings
from reports.runs import RunStore


def add_parser(commands: Any) -> None:
    """Add the command."""
    one = commands.add_parser(
        "heal",
        help="undo the faults that a dead harness left open",
        description="Undoes what the cluster's ledger and the ledgers of this checkout's runs hold open; "
        "doing it again changes nothing. Exit status: 0 nothing is open any more, 2 misuse, or a run goes on "
        "(--force undoes its faults too), 4 something is still open, or no cluster.",
    )
    one.add_argument("--env", default="lab", help="environment (default lab)")
    one.add_argument("--kubeconfig", help="kubeconfig of the environment's cluster")
    one.add_argument("--context", help="context of that kubeconfig")
    one.add_argument("--dry-run", action="store_true", help="only say what is open and what would undo it")
    one.add_argument("--force", action="store_true", help="also undo the faults of a run that goes on")
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Find what is open, undo it, and say what it was."""
    # The stage imports the lab, which takes a moment, and pytest wants to import the fixtures itself.
    from fixtures.acceptance.stage import deployed  # noqa: PLC0415
    from fixtures.providers import powers  # noqa: PLC0415

    settings = load_settings(arguments.env, kubeconfig=arguments.kubeconfig, context=arguments.context)
    stage = deployed(settings, None)
    if stage.kubeconfig is None:
        raise EnvironmentFailedError(
            f"no cluster of environment {arguments.env!r} is there to be healed: give --kubeconfig, or start "
            "the lab (a lab that is gone took its faults with it)"
        )
    cluster = stage.cluster()
    books = ClusterLedger(cluster)
    here, elsewhere = find(books, _ledgers(living=arguments.force), identity(cluster))
    if here and not arguments.dry_run:
        if not arguments.force:
            _refuse_living(cluster)
        heal(here, Healer(cluster, attach(cluster), powers(settings)), books, time.time())
    _print(here, elsewhere, arguments)
    failed = [f"{one.fault.fault_id}: {one.error}" for one in here if one.error]
    if failed:
        raise EnvironmentFailedError(f"still open: {'; '.join(failed)}")
    if not arguments.dry_run:
        books.sweep()
    return 0


def _ledgers(*, living: bool) -> Iterator[Path]:
    """Yield the ledgers of this checkout's runs, of living ones only if so wanted."""
    for one in RunStore().runs():
        if living or not one.running():
            yield one.ledger


def _refuse_living(cluster: Cluster) -> None:
    """Raise RefusedError if the harness is heard of: its faults are meant to be there."""
    if cluster.get("leases", HEARTBEAT, NAMESPACE) is None:
        return
    listener = Listener(cluster)
    try:
        wait_until("the harness to be silent", listener.silent, HEARTBEAT_S + 1.5, interval_s=0.5)
    except WaitTimeoutError:
        raise RefusedError(
            "a run injects faults at present, and undoes them itself. To stop it: the file `stop` in its "
            f"folder, or `kubectl label namespace {NAMESPACE} ecochain.io/stop=now`; --force undoes them "
            "beneath it"
        ) from None


def _print(here: list[Healed], elsewhere: list[Healed], arguments: argparse.Namespace) -> None:
    done = "would be undone" if arguments.dry_run else "undone"
    if arguments.json:
        healed = not arguments.dry_run
        body = {
            "faults": [_as_json(one, healed=healed and one.error is None) for one in here],
            "elsewhere": [_as_json(one, healed=False) for one in elsewhere],
        }
        print(json.dumps(body, indent=2))
        return
    for one in here:
        print(f"{one.fault.fault_id} of run {one.fault.run}: {one.error or done}")
        if arguments.dry_run:
            for step in reversed(one.fault.undo):
                print(f"    by {json.dumps(step.as_json())}")
    for one in elsewhere:
        print(f"{one.fault.fault_id} of run {one.fault.run}: open in another cluster, left alone")
    if not here:
        print("nothing was open")


def _as_json(one: Healed, *, healed: bool) -> dict[str, Any]:
    return {**one.fault.as_json(), "healed": healed, "error": one.error}
