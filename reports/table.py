"""The table of verdicts on the terminal, or as plain text where there is none."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.measures import allowed, asked, measured
from slas.verdicts import Outcome, Verdict, merge

COLOURS = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "bold yellow"}
PLAIN_WIDTH = 180  # where nobody looks at a terminal: no cell but a long cause is wrapped


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """Return the table, in the order given."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("scenario", "SLA", "subject"):
        table.add_column(heading, no_wrap=True)
    for heading in ("measured", "allowed"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("cause", overflow="fold")
    for verdict in verdicts:
        cells = (verdict.scenario, asked(verdict), verdict.subject, measured(verdict), allowed(verdict))
        table.add_row(
            *(Text(cell) for cell in cells),  # Text, since a subject such as [a] is no markup
            Text(verdict.verdict.value, style=COLOURS[verdict.verdict]),
            Text(verdict.cause or ""),
        )
    return table


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return the counts and the merged verdict; no verdict at all is INCONCLUSIVE."""
    worst = merge(verdict.verdict for verdict in verdicts)
    if not verdicts:
        return f"{worst.value}: no verdict was reached"
    counts = Counter(verdict.verdict for verdict in verdicts)
    return f"{worst.value}: " + ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome)


def print_verdicts(verdicts: Sequence[Verdict], stream: TextIO | None = None) -> None:
    """Print the table and the summary to `stream` (default: stdout), in colour on a terminal only."""
    stream = stream if stream is not None else sys.stdout
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:
        console = Console(
            file=stream, width=PLAIN_WIDTH, force_terminal=False, color_system=None, highlight=False
        )
    if verdicts:
        console.print(verdict_table(verdicts))
    worst = merge(verdict.verdict for verdict in verdicts)
    console.print(Text(summary(verdicts), style=COLOURS[worst]))
