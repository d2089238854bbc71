"""`verify env list|reap|destroy|drift|plan|token`: the provisioned environments of this machine."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.errors import EnvironmentFailedError
from reports.progress import Progress

if TYPE_CHECKING:
    from fixtures.provision_reaping import Reaped


def add_parser(commands: Any) -> None:
    """Add the command."""
    env = commands.add_parser("env", help="the environments that Terraform made")
    verbs = env.add_subparsers(dest="verb", required=True, metavar="list|reap|destroy|drift|plan|token")
    for name, run, text in (
        ("list", _list, "show each, its owner's state and its time to live"),
        (
            "reap",
            _reap,
            "destroy what is past its time to live or whose owner died; exit 4 if anything is left",
        ),
        ("destroy", _destroy, "destroy one now, a kept one too"),
        ("drift", _drift, "name what was changed behind Terraform's back; exit 1 if anything was"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.set_defaults(run=run)
        if name in {"destroy", "drift"}:
            verb.add_argument("run_id", metavar="ID", help="its name, as `env list` shows it")
    plan = verbs.add_parser("plan", help="what Terraform would change there; changes and locks nothing")
    plan.add_argument("--env", required=True, metavar="NAME", help="environments/NAME.toml")
    plan.add_argument("--json", action="store_true", help="print JSON")
    plan.set_defaults(run=_plan)
    token = verbs.add_parser("token", help="print a token for an EKS cluster, as its kubeconfig asks for it")
    token.add_argument("cluster", metavar="CLUSTER", help="the cluster's name")
    token.add_argument("--region", required=True, help="its AWS region")
    token.add_argument("--endpoint-url", help="where a double of AWS answers")
    token.set_defaults(run=_token)


def _list(arguments: argparse.Namespace) -> int:
    # Imported here: boto3 takes a second.
    from fixtures.provision_reaping import environments  # noqa: PLC0415

    now_s = time.time()
    found = environments(now_s)
    if arguments.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
        return 0
    for one in found:
        left_min = (one.expires_s - now_s) / 60
        where = f"account {one.account}" if one.account else "double"
        print(
            f"{one.run_id:<34} {one.environment:<10} {one.state:<9} {where:<21} "
            f"{one.resources:>3} resources, {left_min:.0f} min to live"
        )
    if not found:
        print("there is no environment")
    return 0


def _reap(arguments: argparse.Namespace) -> int:
    from fixtures.provision_reaping import reap  # noqa: PLC0415

    return _show(arguments, reap())


def _destroy(arguments: argparse.Namespace) -> int:
    from fixtures.provision_reaping import destroy  # noqa: PLC0415

    return _show(arguments, [destroy(arguments.run_id)])


def _drift(arguments: argparse.Namespace) -> int:
    from fixtures.provision_drift import drift  # noqa: PLC0415

    found = drift(arguments.run_id)
    if arguments.json:
        print(json.dumps(found, indent=1))
    for line in found if not arguments.json else ():
        print(line)
    if not found and not arguments.json:
        print(f"environment {arguments.run_id}: as it was applied")
    return 1 if found else 0


def _plan(arguments: argparse.Namespace) -> int:
    from fixtures.provision_plan import plan  # noqa: PLC0415
    from fixtures.settings import load_settings  # noqa: PLC0415

    settings = load_settings(arguments.env, cluster_needed=False)
    with Progress() as progress:
        planned = plan(settings, progress=progress)
    if arguments.json:
        print(json.dumps(asdict(planned), indent=1))
    for line in planned.changes if not arguments.json else ():
        print(line)
    if not planned.changes and not arguments.json:
        print(f"environment {arguments.env}: as its configuration says")
    return 1 if planned.changes else 0


def _token(arguments: argparse.Namespace) -> int:
    from clients.aws import Aws, Credentials  # noqa: PLC0415
    from clients.eks import token  # noqa: PLC0415

    aws = Aws(credentials=Credentials.find(), region=arguments.region, endpoint_url=arguments.endpoint_url)
    print(token(aws, arguments.cluster).as_exec_credential())
    return 0


def _show(arguments: argparse.Namespace, reaped: Sequence[Reaped]) -> int:
    if arguments.json:
        print(json.dumps([asdict(one) for one in reaped], indent=1))
    for one in reaped if not arguments.json else ():
        print(f"environment {one.run_id}: {'destroyed' if not (one.error or one.remains) else 'not clean'}")
    if not reaped and not arguments.json:
        print("nothing was left over")
    wrong = [f"{one.run_id}: left: {remain}" for one in reaped for remain in one.remains]
    wrong += [f"{one.run_id}: {one.error}" for one in reaped if one.error]
    if wrong:
        raise EnvironmentFailedError(f"not all was destroyed: {'; '.join(wrong)}")
    return 0
