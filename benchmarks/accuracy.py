"""How right the probes are: `python -m benchmarks.accuracy --rate 200 --health 600`.

A server with known outages (5 ms to 3 s; refused, reset, stall, 503; several of each at random moments)
through the real sampler, over new and reused connections, and what `slas.downtime` makes of it; then as
long a time of health as wanted. Prints the table, with `--doc FILE` writes it there. Exit status 1 if a
promise is broken: every outage long enough is found, the truth is inside every bracket, the mean error of
the bracket's middle is at most 3 ms, and nothing else is reported. What was measured once is kept by
commit and not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.campaign import (
    SHORTEST_S,
    Record,
    broken_promises,
    lengths_s,
    measure_health,
    measure_outages,
)
from benchmarks.document import replace_part, table
from benchmarks.origin import stated
from benchmarks.pieces import piece

_HEAD = ("series", "mode", "outages", "promised", "found of these", "found in all", "truth inside")
_ERRORS = ("mean error", "largest error")


def outages_piece(rate: int, *, repeats: int = 3, seed: int = 1) -> Record:
    """Return what the outages of a campaign gave, measured once for each state of the code."""
    lengths = lengths_s(rate)
    return piece(
        f"outages-{rate}-{repeats}-{seed}",
        lambda: measure_outages(rate, lengths, repeats=repeats, seed=seed),
    )


def health_piece(rate: int, span_s: float) -> Record:
    """Return what a time of health gave, measured once for each state of the code."""
    return piece(f"health-{rate}-{span_s:g}", lambda: measure_health(rate, span_s))


def as_text(outages: Record, health: Record | None, origin: str) -> str:
    """Return the result as Markdown."""
    rows = [
        (
            line["series"].removeprefix("p/"),
            line["mode"],
            line["outages"],
            line["promised"],
            line["promised_found"],
            line["found"],
            f"{line['inside']} of {line['found']}",
            *(
                f"{line[name]:.2f} ms" if line[name] is not None else "-"
                for name in ("mean_error_ms", "max_error_ms")
            ),
        )
        for line in outages["lines"]
    ]
    rate, false = outages["rate"], sum(outages["false_intervals"].values())
    text: list[str] = [
        origin,
        "",
        table((*_HEAD, *_ERRORS), rows),
        "",
        (
            f"{_conduct(outages)}, intervals that were no outage: {false}, "
            f"outages disturbed by a blind moment and not compared: {outages['disturbed']}. "
            f"The truth is known to {outages['truth_known_to_ms']:.2f} ms or better. Seed {outages['seed']}."
        ),
    ]
    if health:
        text += [
            "",
            (
                f"Health, {health['span_s']:g} s at {rate:g}/s on each kind of connection: "
                f"{_conduct(health)}, "
                f"**{health['false_intervals']} false intervals**."
            ),
        ]
    return "\n".join(text)


def _conduct(part: Record) -> str:
    return (
        f"{part['sent']} probes, coverage {part['coverage']:.2%}, late p99 {part['lateness_p99_ms']:.2f} ms, "
        f"blind {len(part['blind_spans'])} times"
    )


def main() -> int:
    """Run the campaign, print or write the table; exit status 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--rate", type=int, choices=sorted(SHORTEST_S), default=200, help="per series (200)")
    parser.add_argument("--repeats", type=int, default=3, help="of each length in each mode (3)")
    parser.add_argument("--health", type=float, default=0, metavar="S", help="seconds of health (0)")
    parser.add_argument("--seed", type=int, default=1, help="of the order and the moments (1)")
    parser.add_argument("--doc", type=Path, metavar="FILE", help="write the table into this document")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    outages = outages_piece(args.rate, repeats=args.repeats, seed=args.seed)
    health = health_piece(args.rate, args.health) if args.health > 0 else None
    options = f"--rate {args.rate} --repeats {args.repeats} --health {args.health:g} --seed {args.seed}"
    text = as_text(outages, health, stated(f"python -m benchmarks.accuracy {options}"))
    print(text)
    if args.json:
        args.json.write_text(json.dumps({"outages": outages, "health": health}, indent=1) + "\n")
    if args.doc:
        replace_part(args.doc, f"accuracy at {args.rate}/s", text)
    broken = broken_promises(outages)
    if health and health["false_intervals"]:
        broken.append(f"{health['false_intervals']} intervals in {health['span_s']:g} s of health")
    for one in broken:
        print(f"broken: {one}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
