"""The run store: folders appear whole, errors are clear, and pruning never takes what is in use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.clock import RunClock
from core.errors import SettingsError
from core.files import read_lines
from core.processes import ProcessId
from reports.origin import commit
from reports.runs import RUN_ID, Run, RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def aged(store: RunStore, number: int, *, ended: bool = True) -> Run:
    """Make a run of `number` hours after a day long ago."""
    run = store.create("lab", [], 1, clock=RunClock(offset_s=-RunClock(offset_s=0).now() + number * 3600))
    if ended:
        run.finish(0)
    return run


def edit(run: Run, **changes: object) -> None:
    file = run.path / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_new_run_says_who_runs_what_from_where(store: RunStore) -> None:
    """run.json holds the environment, commit, versions, seed, arguments and clock; the folders are there."""
    run = store.create("lab", ["--env=lab", "-k", "kill"], 7, images={"auth-service": "sha256:ab"})
    info = json.loads((run.path / "run.json").read_text())
    assert RUN_ID.fullmatch(run.id)
    assert info["schema"] == 1
    assert info["id"] == run.id
    assert (info["environment"], info["seed"], info["arguments"]) == ("lab", 7, ["--env=lab", "-k", "kill"])
    assert info["images"] == {"auth-service": "sha256:ab"}
    assert info["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (info["commit"], info["ended"], info["exit"]) == (commit()[0], None, None)
    assert ProcessId(pid=info["pid"], start_ticks=info["start_ticks"]) == ProcessId.of(os.getpid())
    assert all(folder.is_dir() for folder in (run.samples, run.logs, run.allure_results))


def test_the_end_is_recorded_with_all_that_was_noted(store: RunStore) -> None:
    """What any process noted of versions and images is in run.json once the owner finishes."""
    run = store.create("lab", [], 1, images={"a": "sha256:1"})
    Run.open(run.path).note(versions={"kubernetes": "v1.36.3"}, images={"b": "sha256:2"})
    run.finish(3)
    info = run.info()
    assert info.exit == 3
    assert info.ended is not None
    assert info.ended >= info.started
    assert info.images == {"a": "sha256:1", "b": "sha256:2"}
    assert info.versions["kubernetes"] == "v1.36.3"
    assert "python" in info.versions


def test_other_processes_stamp_events_by_the_same_clock(store: RunStore) -> None:
    """A process that opens the run uses its clock, even if its own wall clock says otherwise."""
    run = store.create("lab", [], 1, clock=RunClock(offset_s=1_000_000.0))
    before = run.clock.now()
    code = "import sys; from pathlib import Path; from reports.runs import Run; "
    code += "Run.open(Path(sys.argv[1])).append('fault.injected', fault='pod-kill')"
    subprocess.run([sys.executable, "-c", code, str(run.path)], check=True, timeout=30)
    run.append("scenario.ended", scenario="x", t=5.0)
    events = list(read_lines(run.events))
    assert events[0]["kind"] == "fault.injected"
    assert events[0]["fault"] == "pod-kill"
    assert before < events[0]["t"] < run.clock.now()
    assert events[1] == {"t": 5.0, "kind": "scenario.ended", "scenario": "x"}


def test_latest_is_the_newest_run(store: RunStore) -> None:
    """The link is relative, swapped on each creation, and opens the newest run."""
    assert store.latest() is None
    store.create("lab", [], 1)
    second = store.create("staging", [], 1)
    assert store.link.is_symlink()
    assert store.link.readlink() == Path("runs", second.id)
    latest = store.latest()
    assert latest is not None
    assert latest.id == second.id
    assert store.find("latest").id == store.find(second.id).id == store.find(str(second.path)).id == second.id
    assert [path.name for path in store.root.glob(".*")] == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "run.json: expected the folder of a run, got 'none there'"),
        ('{"schema": 1, "id": "2026', "expected whole JSON"),
        ("[]", "schema: expected 1"),
        ('{"tests": 3}', "schema: expected 1, the one this version reads, got None"),
        ('{"schema": 2}', "schema: expected 1, the one this version reads, got 2"),
        ('{"schema": 1}', "id: expected Field required"),
    ],
)
def test_what_is_not_a_run_is_one_clear_error(tmp_path: Path, content: str | None, expected: str) -> None:
    """A foreign, truncated or newer folder is refused with its path and the reason."""
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(SettingsError) as caught:
        Run.open(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert expected in str(caught.value)


def test_a_wrong_type_in_run_json_names_the_key(store: RunStore) -> None:
    """A value of a wrong type is an error of that key."""
    run = store.create("lab", [], 1)
    edit(run, seed="many")
    with pytest.raises(SettingsError, match=r"run\.json: seed: .*'many'"):
        run.info()


def test_an_unknown_run_lists_those_known(store: RunStore) -> None:
    """Asking for a run that is not there names the newest ones."""
    run = store.create("lab", [], 1)
    with pytest.raises(SettingsError, match=run.id):
        store.find("20200101T000000Z-lab-0000")


def test_pruning_keeps_the_newest_by_count(store: RunStore) -> None:
    """The oldest go first, and what is kept is exactly the number asked for."""
    runs = [aged(store, number) for number in range(5)]
    assert store.prune(keep=2) == [runs[2].id, runs[1].id, runs[0].id]
    assert [run.id for run in store.runs()] == [runs[3].id, runs[4].id]
    assert sorted(path.name for path in store.root.iterdir()) == [runs[3].id, runs[4].id]


def test_pruning_keeps_the_newest_by_size(store: RunStore) -> None:
    """Old runs go while all together are larger than allowed, a small one too if a newer one had to."""
    runs = [aged(store, number) for number in range(4)]
    for run in runs[1:]:
        (run.samples / "segment.parquet").write_bytes(b"x" * 100_000)
    store.prune(keep=100, keep_bytes=250_000)
    assert [run.id for run in store.runs()] == [runs[2].id, runs[3].id]


def test_pruning_spares_the_current_the_running_and_the_latest(store: RunStore) -> None:
    """A run whose owner is alive stays however old it is; one whose owner was killed may go."""
    running, killed, current = (aged(store, number, ended=False) for number in range(3))
    latest = aged(store, 3)
    edit(killed, start_ticks=1)
    edit(current, start_ticks=1)
    assert store.prune(current=current, keep=0) == [killed.id]
    assert [run.id for run in store.runs()] == [running.id, current.id, latest.id]


def test_pruning_touches_nothing_foreign_and_sweeps_what_killed_runs_left(store: RunStore) -> None:
    """Other folders, histories and damaged runs stay; half-made and half-deleted folders go."""
    run = aged(store, 0)
    damaged = store.root / "20200101T000000Z-lab-0000"
    foreign = store.root / "my-notes"
    for folder in (
        damaged,
        foreign,
        store.root / ".gone-x",
        store.root / ".new-old",
        store.root / ".new-fresh",
    ):
        folder.mkdir()
    (store.root / "history-lab.jsonl").write_text("{}\n")
    os.utime(store.root / ".new-old", (0, 0))
    store.prune(keep=0)
    assert {path.name for path in store.root.iterdir()} == {
        run.id,
        damaged.name,
        "my-notes",
        ".new-fresh",
        "history-lab.jsonl",
    }


def test_runs_of_several_processes_at_once_do_not_disturb_each_other(store: RunStore) -> None:
    """Creating, appending, finishing and pruning side by side loses no run that is in use."""
    code = """
import sys
from pathlib import Path
from reports.runs import RunStore
store = RunStore(Path(sys.argv[1]))
for number in range(15):
    run = store.create("lab", [], number)
    run.append("scenario.started", scenario="x")
    store.prune(current=run, keep=2)
    assert run.info().seed == number and run.events.stat().st_size > 0
    run.finish(0)
"""
    workers = [subprocess.Popen([sys.executable, "-c", code, str(store.root)]) for _ in range(3)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    latest = store.latest()
    assert latest is not None
    assert latest.info().exit == 0
    store.prune(keep=1)
    assert [path.name for path in store.root.iterdir()] == [latest.id]
