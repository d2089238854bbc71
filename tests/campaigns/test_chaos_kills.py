"""The harness is killed in every phase of every fault, and at random moments. `make test-full`.

It goes on where it stopped: each kill is a piece that is kept for the commit, also one that left something.
The table goes into docs/chaos-kills.md.
"""

from __future__ import annotations

import json
import statistics
import sys
import textwrap
from collections.abc import Iterator, Mapping
from math import nan
from pathlib import Path
from typing import Any

import pytest

from benchmarks.document import replace_part, table
from benchmarks.origin import stated
from benchmarks.pieces import piece
from core.places import checkout

sys.path.append(str(checkout() / "tests/live"))

from chaos_ground import Ground, ground_on
from chaos_kills import LASTING, OTHERS, PHASES, SEED, WHOLE, killed, kills, sound
from verify_command import verify

LAB = "kills"
RANDOM_KILLS = 2
KILLS = sorted(kills(RANDOM_KILLS), key=lambda kill: kill[0] in WHOLE)


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """Make the ground on a lab of its own, where a kill is still to be done."""
    up = verify("lab", "up", "--name", LAB, "--json", timeout_s=1200)
    assert up.returncode == 0, up.stderr
    try:
        with ground_on(str(json.loads(up.stdout)["name"])) as made:
            yield made
    finally:
        down = verify("lab", "down", "--name", LAB)
        assert down.returncode == 0, down.stderr


@pytest.mark.parametrize(("fault", "moment"), KILLS)
def test_a_killed_harness_leaves_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, fault: str, moment: str
) -> None:
    """In time nothing is left of the fault, the watchdog has signed it, and the system is whole again."""
    sound(fault, moment, kill(request, tmp_path, fault, moment))


def test_the_table_has_every_kill(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """No kill is missing in the document, and there are at least a hundred."""
    found = {(fault, moment): kill(request, tmp_path, fault, moment) for fault, moment in KILLS}
    assert len(found) >= 100
    written = document(found, stated("make test-full"))
    replace_part(checkout() / "docs/chaos-kills.md", "kills", written)


def kill(request: pytest.FixtureRequest, folder: Path, fault: str, moment: str) -> dict[str, Any]:
    """Return what became of one kill, done now or kept from before."""

    def done() -> dict[str, Any]:
        ground: Ground = request.getfixturevalue("ground")
        return killed(ground, folder, fault, moment)

    return piece(f"chaos-kill-{fault}-{moment}", done)


def document(found: Mapping[tuple[str, str], Mapping[str, Any]], origin: str) -> str:
    """Return the table: a row per fault, with the seconds until nothing was left, and what is not done."""
    wrong = [f"`{fault}` {moment}: {one['wrong']}" for (fault, moment), one in found.items() if one["wrong"]]
    rows = []
    for fault in sorted([*LASTING, *OTHERS], key=lambda name: (name in WHOLE, name)):
        ours = {moment: one for (name, moment), one in found.items() if name == fault}
        if not ours:
            continue
        at_random = [str(one["last"]) for moment, one in ours.items() if moment not in PHASES]
        good = [one for one in ours.values() if not one["wrong"]] or [{"undone_s": nan, "whole_s": nan}]
        undone_s, whole_s = ([one[key] for one in good] for key in ("undone_s", "whole_s"))
        row = [f"`{fault}`", len(ours), *(_seconds(ours.get(phase)) for phase in PHASES)]
        row += [", ".join(at_random), f"{statistics.median(undone_s):.1f}", f"{max(undone_s):.1f}"]
        rows.append([*row, f"{max(whole_s):.1f}"])
    head = ["fault", "kills", *PHASES, "random kills came after", "median s", "longest s", "whole s"]
    signed = sum(1 for one in found.values() if not one["wrong"] and one["healed_by"])
    intro = (
        f"{len(found)} kills of {len(KILLS)}, {len(wrong)} of them with something wrong; the seed of the "
        f"random ones is {SEED}. The watchdog signed {signed}; the others had nothing open. "
        "The columns of phases, the median and the longest are the seconds from the kill until nothing was "
        "left, whole is the longest until the system was whole."
    )
    absent = ", ".join(f"`{fault}` {moment}" for fault, moment in KILLS if (fault, moment) not in found)
    told = [f"Not done yet: {absent}."] if absent else []
    wrapped = [textwrap.fill(text, 120, break_on_hyphens=False) for text in (intro, *wrong, *told, origin)]
    return "\n\n".join([*wrapped[: 1 + len(wrong)], table(head, rows), *wrapped[1 + len(wrong) :]])


def _seconds(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return ""
    return "wrong" if one["wrong"] else f"{one['undone_s']:.1f}"
