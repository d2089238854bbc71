"""`verify clean`: remove what killed runs and starts left on this machine."""

from __future__ import annotations

import argparse
from typing import Any

from core.errors import EnvironmentFailedError
from lab import cluster, preflight, record, removal
from reports.progress import Progress


def add_parser(commands: Any) -> None:
    """Add the command."""
    clean = commands.add_parser("clean", help="remove every lab and environment that a killed run left")
    clean.add_argument("--all", action="store_true", help="also take down labs that are up")
    clean.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Remove the left-over labs and provisioned environments, and say what they were."""
    # Imported here: pytest, which `rehearse` starts in this process, wants to import the fixtures itself.
    from fixtures.provisioning import reap as reap_environments  # noqa: PLC0415

    preflight.check()
    with Progress() as progress:
        labs = removal.reap(progress)
        if arguments.all:
            for name in [present.plan.name for present in record.every()]:
                labs += [name] if cluster.down(name, progress=progress) else []
        environments = reap_environments()
    for name in labs:
        print(f"lab {name}: removed")
    for reaped in environments:
        print(f"environment {reaped.run_id}: removed")
    if not labs and not environments:
        print("nothing was left over")
    remains = [f"{reaped.run_id}: {remain}" for reaped in environments for remain in reaped.remains]
    remains += [f"{reaped.run_id}: {reaped.error}" for reaped in environments if reaped.error]
    if remains:
        raise EnvironmentFailedError(f"removed, yet something was left: {'; '.join(remains)}")
    return 0
