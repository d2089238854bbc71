"""Runs that end by a signal at a random moment leave nothing: by themselves, or after the reaper."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from account import CALLS, Account, Moment, signal_at

from clients.marked import marked
from clients.terraform import MARK
from fixtures.provision_reaping import environments, reap

# One in the apply and one in the destruction; the campaign has thirty.
SEEDS = (3, 11)
TERMINATED = 1


def test_runs_that_end_by_a_signal_side_by_side_leave_nothing(account: Account, state_folder: Path) -> None:
    """Several runs share an account: one is terminated and cleans up itself, the killed ones are reaped."""
    wanted = {f"killed-{seed}": (seed, signal.SIGKILL) for seed in SEEDS}
    wanted["terminated"] = (TERMINATED, signal.SIGTERM)
    with ExitStack() as stack:
        lives = {}
        for run_id, (seed, number) in wanted.items():
            proxy = stack.enter_context(account.proxy())
            lives[run_id] = account.live(run_id, proxy)
            stack.callback(lives[run_id].kill)
            signal_at(Moment.drawn(seed), lives[run_id], proxy, number)
        statuses = {run_id: life.wait(240) for run_id, life in lives.items()}
        assert [statuses[f"killed-{seed}"] for seed in SEEDS] == [-signal.SIGKILL] * len(SEEDS)
        assert "terminated" not in [one.run_id for one in environments()]
        reaped = reap()
        assert [(one.run_id, one.remains, one.error) for one in reaped if one.error or one.remains] == []
        assert account.added() == []
    assert environments() == []
    left = [folder for folder in (state_folder / "terraform").iterdir() if folder.is_dir()]
    assert left == []
    assert [
        run_id for run_id in wanted if marked(MARK, str(state_folder / "terraform" / run_id / "data"))
    ] == []


def test_the_moments_cover_the_whole_life() -> None:
    """Thirty draws fall into the check, the apply and the destruction, at a call and between calls."""
    moments = [Moment.drawn(seed) for seed in range(30)]
    calls = [moment.call for moment in moments]
    assert min(calls) < 10
    assert max(calls) > 60
    assert {moment.delay_s == 0 for moment in moments} == {True, False}
    assert Moment.drawn(4) == Moment.drawn(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sampled_moment_is_reached(seed: int) -> None:
    """A sample whose moment lay after the end of a life would kill nothing."""
    assert Moment.drawn(seed).call <= CALLS
