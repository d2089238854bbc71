"""`verify chaos list|run|table`: the scenarios that files describe."""

from __future__ import annotations

import argparse
import json
import platform
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.sessions import play
from core.files import read_lines, write_atomic
from core.places import checkout
from fixtures.chaos.catalogue import catalogue, find
from fixtures.chaos.promises import PROMISES
from fixtures.chaos.scenario_file import ScenarioPlan, check_against
from fixtures.settings import load_settings
from reports.faults import FaultResult, fault_results
from reports.runs import RunStore
from reports.scenario_table import Row, latest, markdown
from slas.judge import read_verdicts

_SEEDS = 2**31


def add_parser(commands: Any) -> None:
    """Add the command."""
    chaos = commands.add_parser("chaos", help="scenarios of faults, as files describe them")
    verbs = chaos.add_subparsers(dest="verb", required=True, metavar="VERB")
    known = verbs.add_parser("list", help="the scenarios of the catalogue")
    known.add_argument("--json", action="store_true", help="print JSON")
    known.set_defaults(run=show)
    table = verbs.add_parser("table", help="what each scenario measured when it was last played (Markdown)")
    table.add_argument("runs", nargs="+", metavar="RUN", help="runs, from the oldest to the newest")
    table.add_argument("--out", type=Path, help="file to write it to, instead of printing it")
    table.set_defaults(run=tabulate)
    one = verbs.add_parser(
        "run",
        help="play one scenario and judge it",
        description="Exit status: 0 all PASS, 1 a FAIL, 2 misuse, 3 INCONCLUSIVE, 4 no environment.",
    )
    one.add_argument("file", metavar="FILE", help="a scenario file, or the name of one of the catalogue")
    one.add_argument("--env", default="lab", help="environment (default lab)")
    one.add_argument("--kubeconfig", help="kubeconfig of the environment's cluster")
    one.add_argument("--context", help="context of that kubeconfig")
    one.add_argument("--seed", type=int, help="seed of every random choice, the targets among them")
    one.add_argument(
        "--dry-run", action="store_true", help="only say whom it would hit and what would be undone"
    )
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(run=run)


def show(arguments: argparse.Namespace) -> int:
    """Print the catalogue."""
    plans = catalogue()
    if arguments.json:
        print(json.dumps({"scenarios": [_described(plan) for plan in plans]}, indent=2))
        return 0
    for plan in plans:
        data = plan.data
        faults = ", ".join(dict.fromkeys(fault.name for fault in plan.faults))
        print(f"{data.name} [{', '.join(data.sets)}] {faults} on {data.subject}")
        print(f"    {data.reason}")
        print(f"    promise: {PROMISES[data.promise]}")
    return 0


def tabulate(arguments: argparse.Namespace) -> int:
    """Print or write the table of the catalogue."""
    rows = [
        Row(
            name=plan.data.name,
            sets=plan.data.sets,
            faults=list(dict.fromkeys(fault.name for fault in plan.faults)),
            promise=plan.data.promise,
        )
        for plan in catalogue()
    ]
    store = RunStore()
    text = markdown(rows, latest(store.find(name) for name in arguments.runs))
    where = f"{platform.machine()}, {platform.system()}"
    head = (
        "# The scenarios, as measured\n\n`verify chaos table` of the named runs on the lab "
        f"({where}). A span is a bracket [lower, upper]; recovery is of the slowest fault. "
        "What was changed since shows when the scenario is played again.\n\n"
    )
    if arguments.out is None:
        print(text, end="")
    else:
        write_atomic(arguments.out, head + text)
    return 0


def _described(plan: ScenarioPlan) -> dict[str, Any]:
    data = plan.data
    return {
        "name": data.name,
        "file": str(plan.file),
        "reason": data.reason,
        "promise": {"name": data.promise, "text": PROMISES[data.promise]},
        "sets": list(data.sets),
        "subject": data.subject,
        "faults": [fault.name for fault in plan.faults],
        "asks": [ask.id for ask in plan.asks],
    }


def run(arguments: argparse.Namespace) -> int:
    """Check the file against the environment, then play it, or say what it would do."""
    plan = find(arguments.file)
    settings = load_settings(arguments.env, kubeconfig=arguments.kubeconfig, context=arguments.context)
    check_against(plan, settings)
    seed = secrets.randbelow(_SEEDS) if arguments.seed is None else arguments.seed
    if arguments.dry_run:
        return _dry_run(plan, arguments, seed)
    options = [
        str(checkout() / "suites/chaos"),
        f"--scenario={plan.file.resolve()}",
        f"--env={arguments.env}",
    ]
    options += [
        f"--{name}={value}" for name in ("kubeconfig", "context") if (value := getattr(arguments, name))
    ]
    status, made = play([*options, f"--seed={seed}"], aside=arguments.json)
    if arguments.json:
        verdicts = read_verdicts(made.path) if made is not None and made.verdicts.exists() else []
        faults: list[FaultResult] = []
        if made is not None:
            faults = fault_results(read_lines(made.events), verdicts, environment=arguments.env, seed=seed)
        body = {
            "run": str(made.path) if made is not None else None,
            "seed": seed,
            "faults": [fault.as_json() for fault in faults],
            "verdicts": [verdict.as_json() for verdict in verdicts],
        }
        print(json.dumps(body, indent=2, ensure_ascii=False, default=str))
    return status


def _dry_run(plan: ScenarioPlan, arguments: argparse.Namespace, seed: int) -> int:
    # What makes an environment takes a second to import, and only this needs it.
    from fixtures.chaos.dry_run import at_hand, intended  # noqa: PLC0415

    settings = load_settings(arguments.env, kubeconfig=arguments.kubeconfig, context=arguments.context)
    with at_hand(plan, settings, seed, ["chaos", "run", str(plan.file), "--dry-run"], _progress()) as cluster:
        found = intended(plan, settings, cluster, seed=seed)
    if arguments.json:
        body = {"scenario": plan.data.name, "seed": seed, "faults": [one.as_json() for one in found]}
        print(json.dumps(body, indent=2))
    else:
        print(f"scenario {plan.data.name}, seed {seed}: nothing was touched")
        for one in found:
            lasting = f" for {one.duration_s:g} s" if one.duration_s is not None else ""
            print(f"  {one.fault} at {one.at_s:g} s{lasting}")
            for target in one.targets:
                named = {name: value for name, value in target.as_event().items() if value}
                print("    target: " + ", ".join(f"{name} {value}" for name, value in named.items()))
            for step in one.undo:
                print(f"    undone by: {step}")
            for permission in one.permissions:
                lacking = " (missing)" if permission in one.missing else ""
                print(f"    needs: {permission}{lacking}")
            if one.refused is not None:
                print(f"    would not be carried out: {one.refused}")
    return 3 if any(one.refused or one.missing for one in found) else 0


def _progress() -> Callable[[str], None]:
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {text}", file=sys.stderr)

    return say
