"""`verify env`: what is overdue or left over is destroyed, the rest stays, and what is left fails."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from cli.main import main
from core.errors import EnvironmentFailedError, RefusedError
from core.files import append_line
from core.processes import ProcessId
from fixtures import provision_reaping
from fixtures.provision_reaping import destroy, environments, reap
from fixtures.provision_site import Site

HOUR_S = 3600.0
DEAD = ProcessId(pid=os.getpid(), start_ticks=1)


def environment(
    state_folder: Path, name: str, owner: ProcessId | None, *, ttl_s: float = HOUR_S, kept: bool = False
) -> Site:
    folder = state_folder / "terraform" / name
    folder.mkdir(parents=True)
    if owner is not None:
        process = {"pid": owner.pid, "start_ticks": owner.start_ticks}
        now_s = time.time()
        line = {"kind": "owner", **process, "environment": "lab", "made_s": now_s, "expires_s": now_s + ttl_s}
        append_line(folder / "ledger.jsonl", line)
        if kept:
            append_line(folder / "ledger.jsonl", {"kind": "kept"})
    return Site(folder)


def this() -> ProcessId:
    found = ProcessId.of(os.getpid())
    assert found is not None
    return found


def test_only_what_is_overdue_or_left_over_is_reaped(state_folder: Path) -> None:
    """An owner that died, a time that is over or a ledger without owner is a reason; nothing else is."""
    environment(state_folder, "in-use", this())
    environment(state_folder, "kept", DEAD, kept=True)
    environment(state_folder, "dead", DEAD)
    environment(state_folder, "kept-too-long", DEAD, kept=True, ttl_s=-1)
    environment(state_folder, "hung", this(), ttl_s=-1)
    environment(state_folder, "nobody", None)
    states = {one.run_id: one.state for one in environments()}
    assert states == {
        "in-use": "in use",
        "kept": "kept",
        "dead": "left over",
        "kept-too-long": "overdue",
        "hung": "overdue",
        "nobody": "left over",
    }
    assert [one.run_id for one in reap()] == ["dead", "hung", "kept-too-long", "nobody"]
    assert [one.run_id for one in environments()] == ["in-use", "kept"]


def test_a_kept_environment_is_adopted_once_and_keeps_its_time(state_folder: Path) -> None:
    """Who reuses becomes the owner; a second one is refused, and so is what was never kept."""
    site = environment(state_folder, "kept", DEAD, kept=True)
    before = site.lease()
    assert before is not None
    assert site.adopt("lab").environment == "lab"
    lease = site.lease()
    assert lease is not None
    assert (lease.in_use(), lease.kept, lease.expires_s) == (True, False, before.expires_s)
    with pytest.raises(RefusedError, match="environment kept: in use by process"):
        site.adopt("lab")
    with pytest.raises(RefusedError, match="not kept"):
        environment(state_folder, "dead", DEAD).adopt("lab")
    with pytest.raises(RefusedError, match="past its time to live"):
        environment(state_folder, "late", DEAD, kept=True, ttl_s=-1).adopt("lab")
    with pytest.raises(RefusedError, match="expected one of root 'ephemeral', got 'lab'"):
        environment(state_folder, "other", DEAD, kept=True).adopt("ephemeral")
    with pytest.raises(RefusedError, match="there is none to reuse"):
        Site(state_folder / "terraform" / "absent").adopt("lab")


def test_the_list_is_json_for_programs(state_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each environment has its state, its times and where it was applied."""
    environment(state_folder, "kept", DEAD, kept=True)
    assert main(["env", "list", "--json"]) == 0
    [shown] = json.loads(capsys.readouterr().out)
    assert (shown["run_id"], shown["state"], shown["account"]) == ("kept", "kept", None)
    assert shown["expires_s"] - shown["made_s"] == pytest.approx(HOUR_S)
    assert main(["env", "list"]) == 0
    assert "60 min to live" in capsys.readouterr().out


def test_what_is_left_fails_the_reaper_by_exit_four(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A remainder is named with its price, and a failure with its words; both end in exit 4."""
    left = provision_reaping.Reaped(run_id="run-a", remains=("nat-gateway nat-1 (1.08 USD a day)",))
    broken = provision_reaping.Reaped(run_id="run-b", error="no such account")
    monkeypatch.setattr(provision_reaping, "reap", lambda: [left, broken])
    assert main(["env", "reap"]) == 4
    said = capsys.readouterr().err
    assert "run-a: left: nat-gateway nat-1 (1.08 USD a day); run-b: no such account" in said
    monkeypatch.undo()
    monkeypatch.setenv("ECOCHAIN_VERIFY_STATE", str(state_folder))
    assert main(["env", "reap"]) == 0
    assert "nothing was left over" in capsys.readouterr().out


def test_one_environment_is_destroyed_by_name_unless_it_is_in_use(state_folder: Path) -> None:
    """A kept environment goes when it is told to; one in use does not."""
    environment(state_folder, "kept", DEAD, kept=True)
    environment(state_folder, "in-use", this())
    assert destroy("kept").error is None
    assert [one.run_id for one in environments()] == ["in-use"]
    with pytest.raises(RefusedError, match="in use"):
        destroy("in-use")
    with pytest.raises(RefusedError, match="there is none"):
        destroy("kept")


def test_a_failure_with_one_does_not_keep_the_others(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every overdue environment is tried, and the one that failed says why."""
    environment(state_folder, "a", DEAD)
    environment(state_folder, "b", DEAD)

    def undo(site: Site, *, timeout_s: float) -> list[object]:
        if site.folder.name == "a":
            raise EnvironmentFailedError(f"not within {timeout_s:g} s")
        return []

    monkeypatch.setattr(Site, "undo", undo)
    assert [(one.run_id, one.error) for one in reap()] == [("a", "not within 300 s"), ("b", None)]
