"""A run killed at thirty random moments of its apply and destruction. `make test-full`, not `make test`.

It goes on where it stopped: each kill is a piece that is kept for the commit. The table goes into
docs/terraform.md.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.document import replace_part, table
from benchmarks.origin import stated
from benchmarks.pieces import piece
from core.files import read_lines
from core.places import checkout
from fixtures.provision_reaping import environments, reap
from lab import aws_double

sys.path.append(str(checkout() / "tests/provision"))

from account import ACCESS_KEY, SECRET_KEY, Account, Moment, signal_at

SEEDS = range(30)
# What a run was at when it was killed, in its order; each is told by what the ledger has.
PHASES = ("before its claim", "plan", "apply", "use and destruction")


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """Give a stand-in of an account; it is not started where every piece is kept already."""
    folder = Path(tempfile.mkdtemp(prefix="evp-"))
    double = aws_double.start(folder / "double", record=lambda _line: None)
    yield Account.of(double, folder)
    double.stop()
    shutil.rmtree(folder)


@pytest.fixture
def state_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give an empty machine-wide state, and the account's credentials."""
    folder = Path(tempfile.mkdtemp(prefix="evp-"))
    monkeypatch.setenv("ECOCHAIN_VERIFY_STATE", str(folder))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_left_after_the_reaper(request: pytest.FixtureRequest, seed: int) -> None:
    """After SIGKILL at a random moment and one `env reap` the account holds what it held before."""
    found = kill(request, seed)
    assert found["status"] == -signal.SIGKILL
    assert (found["wrong"], found["left"], found["environments"]) == ([], [], [])


def test_the_table_has_every_kill(request: pytest.FixtureRequest) -> None:
    """No kill is missing in the document, some hit the apply, some the destruction, and some left much."""
    found = {seed: kill(request, seed) for seed in SEEDS}
    assert {"apply", "use and destruction"} <= {one["phase"] for one in found.values()}
    assert any(one["held"] for one in found.values()), "no kill left anything to be reaped"
    replace_part(checkout() / "docs/terraform.md", "killed runs", document(found))


def kill(request: pytest.FixtureRequest, seed: int) -> dict[str, Any]:
    """Return what became of one kill, done now or kept from before."""

    def done() -> dict[str, Any]:
        account: Account = request.getfixturevalue("account")
        return killed(account, request.getfixturevalue("state_folder"), seed)

    return piece(f"killed-run-{seed}", done)


def killed(account: Account, state_folder: Path, seed: int) -> dict[str, Any]:
    """Kill a run at the seed's moment, reap, and see what is left."""
    moment, run_id = Moment.drawn(seed), f"run-{seed}"
    with account.proxy() as proxy:
        life = account.live(run_id, proxy)
        signal_at(moment, life, proxy)
        status = life.wait(240)
        kinds = {line["kind"] for line in read_lines(state_folder / "terraform" / run_id / "ledger.jsonl")}
        held = len(account.added())
        began_s = time.monotonic()
        reaped = [(one.run_id, list(one.remains), one.error) for one in reap()]
        return {
            "status": status,
            "call": moment.call,
            "delay_s": round(moment.delay_s, 2),
            "phase": PHASES[sum(kind in kinds for kind in ("owner", "apply.starting", "applied"))],
            "held": held,
            "reaped_s": round(time.monotonic() - began_s, 1),
            "wrong": [one for one in reaped if one[1] or one[2]],
            "left": account.added(),
            "environments": [one.run_id for one in environments()],
            "calls": len(proxy.calls),
        }


def document(found: Mapping[int, Mapping[str, Any]]) -> str:
    """Return the table: a row per phase, with what the kills left and what the reaper left of it."""
    rows = []
    for phase in PHASES:
        kills = [one for one in found.values() if one["phase"] == phase]
        if kills:
            calls = sorted(one["call"] for one in kills)
            held = sorted(one["held"] for one in kills)
            rows.append(
                [
                    phase,
                    len(kills),
                    f"{calls[0]} to {calls[-1]}",
                    f"{held[0]} to {held[-1]}",
                    f"{max(one['reaped_s'] for one in kills):.1f}",
                    sum(len(one["left"]) for one in kills),
                ]
            )
    head = ["killed during", "kills", "at call", "resources then", "longest reaping, s", "left"]
    return f"{table(head, rows)}\n\n{stated('pytest tests/campaigns/test_killed_runs_campaign.py')}"
