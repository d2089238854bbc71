"""`verify judge` on whole, truncated, foreign and missing runs: an error or INCONCLUSIVE, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

COMMAND = Path(sys.executable).with_name("verify")
# A steady state that the harness recorded on its lab: every verdict of it is PASS.
SAVED = Path(__file__).parent / "data" / "steady-state.tar.xz"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Return the folder of the saved run."""
    with tarfile.open(SAVED) as archive:
        archive.extractall(tmp_path, filter="data")
    (run,) = tmp_path.iterdir()
    return run


def judge(run: Path | str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [COMMAND, "judge", str(run), "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    return done


def test_a_saved_run_is_judged_as_it_was(saved: Path) -> None:
    """Same verdicts in the same order, and byte for byte the same each time; without a cluster."""
    done = judge(saved)
    assert done.returncode == 0, done.stderr
    told, before = (
        json.loads(text)["verdicts"] for text in (done.stdout, (saved / "verdicts.json").read_text())
    )
    assert [one["verdict"] for one in told] == ["PASS"] * len(before)
    # Later versions may say more, in the evidence and beside it; everything else stays.
    same = [
        {key: now[key] for key in then} | {"evidence": None} for now, then in zip(told, before, strict=True)
    ]
    assert same == [one | {"evidence": None} for one in before]
    assert judge(saved).stdout == done.stdout


def test_it_prints_a_table_too(saved: Path) -> None:
    """For people, without --json."""
    done = subprocess.run([COMMAND, "judge", saved], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "PASS" in done.stdout, "Traceback" in done.stderr) == (0, True, False)


def no_run(run: Path) -> Path:
    return run / "nothing"


def empty(run: Path) -> Path:
    (run.parent / "empty").mkdir()
    return run.parent / "empty"


def a_file(run: Path) -> Path:
    return run / "run.json"


def older(run: Path) -> Path:
    return _schema(run, 0)


def newer(run: Path) -> Path:
    return _schema(run, 2)


def _schema(run: Path, number: int) -> Path:
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"schema": number}))
    return run


def torn_info(run: Path) -> Path:
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text[: len(text) // 2])
    return run


@pytest.mark.parametrize("broken", [no_run, empty, a_file, older, newer, torn_info])
def test_what_is_no_run_of_this_format_is_one_clear_error(
    saved: Path, broken: Callable[[Path], Path]
) -> None:
    """Misuse: the file, what was expected and what was got."""
    done = judge(broken(saved))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "expected" in done.stderr


def cut_events(run: Path) -> None:
    """Cut off the second half."""
    data = (run / "events.jsonl").read_bytes()
    (run / "events.jsonl").write_bytes(data[: len(data) // 2])


def cut_expectations(run: Path) -> None:
    """Cut off the end, at a line."""
    lines = (run / "events.jsonl").read_text().splitlines(keepends=True)
    last = next(number for number, line in enumerate(lines) if '"expectation"' in line)
    (run / "events.jsonl").write_text("".join(lines[: last + 1]))


def torn_event(run: Path) -> None:
    lines = (run / "events.jsonl").read_text().splitlines(keepends=True)
    lines[5] = lines[5][:20] + "\n"
    (run / "events.jsonl").write_text("".join(lines))


def no_events(run: Path) -> None:
    (run / "events.jsonl").unlink()


def binary_events(run: Path) -> None:
    (run / "events.jsonl").write_bytes(bytes(range(256)) * 10)


def events_folder(run: Path) -> None:
    (run / "events.jsonl").unlink()
    (run / "events.jsonl").mkdir()


def no_samples(run: Path) -> None:
    for segment in (run / "samples").iterdir():
        segment.unlink()
    (run / "samples").rmdir()


def torn_segment(run: Path) -> None:
    segment = sorted((run / "samples").iterdir())[5]
    segment.write_bytes(segment.read_bytes()[:700])


def foreign_segment(run: Path) -> None:
    segment = sorted((run / "samples").iterdir())[5]
    table = pq.read_table(segment).replace_schema_metadata({b"ecochain-verify.samples": b"2"})
    pq.write_table(table, segment)


def other_columns(run: Path) -> None:
    segment = sorted((run / "samples").iterdir())[5]
    pq.write_table(pq.read_table(segment).drop_columns(["sent_s"]), segment)


def killed(run: Path) -> None:
    """Leave no end, as SIGKILL does."""
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"ended": None, "exit": None}))


def nonsense(run: Path) -> None:
    """Write expectations that are none."""
    wrong = {
        "t": 1,
        "kind": "expectation",
        "sla": "downtime",
        "subject": 1,
        "scenario": None,
        "details": None,
    }
    with (run / "events.jsonl").open("a") as events:
        events.write(json.dumps(wrong) + "\n")


@pytest.mark.parametrize(
    "damage",
    [
        cut_events,
        cut_expectations,
        torn_event,
        no_events,
        binary_events,
        events_folder,
        no_samples,
        torn_segment,
        foreign_segment,
        other_columns,
        killed,
        nonsense,
    ],
)
def test_what_is_damaged_or_incomplete_is_inconclusive(saved: Path, damage: Callable[[Path], None]) -> None:
    """Exit 3, with a reason; where data is damaged no verdict is PASS any more."""
    damage(saved)
    done = judge(saved)
    assert done.returncode == 3, done.stdout + done.stderr
    told = json.loads(done.stdout)
    reasons = told.get("incomplete", []) + [one["cause"] for one in told["verdicts"] if one["cause"]]
    assert reasons
    if damage not in (killed, nonsense, cut_expectations):
        assert "PASS" not in {one["verdict"] for one in told["verdicts"]}
