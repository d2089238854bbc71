"""The ledger: on disk before the act, outstanding until closed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from chaos.ledger import Entry, Ledger
from core.places import checkout


def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl", lambda: 5.0)


def test_an_entry_is_outstanding_until_closed(tmp_path: Path) -> None:
    """What was opened last is undone first; what is closed is settled, also when closed twice."""
    book = ledger(tmp_path)
    assert book.outstanding() == []
    first = book.open(Entry(kind="fault", details={"fault": "pod_delete"}))
    second = book.open(Entry(kind="fault"))
    assert [e["id"] for e in book.outstanding()] == [second, first]
    book.close(second)
    book.close(second)
    (left,) = book.outstanding()
    assert left == {"op": "open", "id": first, "t": 5.0, "kind": "fault", "fault": "pod_delete"}


def test_a_killed_writer_leaves_its_entries_readable(tmp_path: Path) -> None:
    """SIGKILL right after opening loses nothing."""
    program = (
        "import os, signal, sys; from pathlib import Path; from chaos.ledger import Entry, Ledger\n"
        "Ledger(Path(sys.argv[1]) / 'ledger.jsonl', lambda: 1.0).open(Entry(kind='fault'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=checkout(), check=False)
    assert done.returncode == -signal.SIGKILL
    assert [e["kind"] for e in ledger(tmp_path).outstanding()] == ["fault"]


def test_an_entry_is_synced_before_the_call_returns(tmp_path: Path, monkeypatch) -> None:
    """A crash of the machine after the act must find the entry: the file and its folder are synced."""
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    ledger(tmp_path).open(Entry(kind="fault"))
    assert synced == [str(tmp_path / "ledger.jsonl"), str(tmp_path)]
