"""`verify lab up|down|status`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from lab import cluster
from lab.plan import DEFAULT_NAME, NODES
from reports.progress import Progress


def add_parser(commands: Any) -> None:
    """Add the command."""
    lab = commands.add_parser("lab", help="the embedded Kubernetes")
    verbs = lab.add_subparsers(dest="verb", required=True, metavar="up|down|status|redeploy")
    for name, run, text in (
        ("up", _up, "start it, or find it started; it stays until `down`"),
        ("down", _down, "remove it and all it left, also after a crash"),
        ("status", _status, "show it"),
        ("redeploy", _redeploy, "build a service as it is now, push it, upgrade its release, wait for it"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("--name", default=DEFAULT_NAME, help=f"its name (default {DEFAULT_NAME})")
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.set_defaults(run=run)
        if name == "redeploy":
            verb.add_argument("service", metavar="SERVICE", help="which service of the checkout")
        if name == "up":
            verb.add_argument("--nodes", type=int, default=NODES, help=f"worker nodes (default {NODES})")
            for_ai = "how many of them are for AI alone (default 1 of three or more)"
            verb.add_argument("--ai-nodes", type=int, help=for_ai)
            verb.add_argument("--subnet", help="private IPv4 /16 (default: a free one of 10.201 to 10.216)")


def _up(arguments: argparse.Namespace) -> int:
    with Progress() as progress:
        lab = cluster.up(
            arguments.name,
            nodes=arguments.nodes,
            ai_nodes=arguments.ai_nodes,
            subnet=arguments.subnet,
            progress=progress,
        )
    return _show(arguments, {**cluster.status(arguments.name), "seconds": dict(lab.seconds)})


def _down(arguments: argparse.Namespace) -> int:
    with Progress() as progress:
        there = cluster.down(arguments.name, progress=progress)
    if arguments.json:
        print(json.dumps({"name": arguments.name, "removed": there}))
    else:
        print(f"lab {arguments.name}: {'removed' if there else 'there is none'}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    return _show(arguments, cluster.status(arguments.name))


def _redeploy(arguments: argparse.Namespace) -> int:
    # Imported here: starting a lab needs none of it.
    from fixtures.redeploying import redeploy  # noqa: PLC0415

    with Progress() as progress:
        done = redeploy(arguments.service, arguments.name, progress)
    if arguments.json:
        print(json.dumps(asdict(done), indent=1))
    else:
        print(f"{done.service}: {done.version} serves in {done.namespace} after {done.seconds:.1f} s")
    return 0


def _show(arguments: argparse.Namespace, status: dict[str, Any]) -> int:
    if arguments.json:
        print(json.dumps(status, indent=1))
        return 0
    print(f"lab {status['name']}: {status['state']}")
    if status["kubeconfig"]:
        print(f"  kubeconfig  {status['kubeconfig']}\n  API server  {status['api_url']}")
    for node in status["nodes"]:
        print(f"  {node['name']:<14} {node['address']:<14} {len(node['pids'])} processes")
    sys.stdout.flush()
    return 0
