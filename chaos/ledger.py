"""The ledger: what must be undone, on disk before it is done.

A line log of `{"op": "open", "id", "t", "kind", …}` and `{"op": "close", "id", "t"}`. Several processes may
append to one ledger; entries that were opened and never closed are what a killed run left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from core.files import append_line, read_lines, sync_folder


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One act: its kind (`fault`, `process`, …) and what is needed to undo it or to see it undone."""

    kind: str
    details: Mapping[str, object] = field(default_factory=dict)


class Ledger:
    """The append-only ledger of a run, by default `ledger.jsonl` of the run's folder."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path, self._now = path, now

    def open(self, entry: Entry) -> str:
        """Write the entry durably and return its id; to be called before the act."""
        number = f"{entry.kind}-{uuid4().hex[:8]}"
        fresh = not self._path.exists()
        record = {"op": "open", "id": number, "t": self._now(), "kind": entry.kind, **entry.details}
        append_line(self._path, record, durable=True)
        if fresh:
            sync_folder(self._path.parent)
        return number

    def close(self, number: str) -> None:
        """Write that the act is undone; closing twice is harmless."""
        append_line(self._path, {"op": "close", "id": number, "t": self._now()}, durable=True)

    def outstanding(self) -> list[dict[str, object]]:
        """Return the open entries, the latest first, which is the order of undoing."""
        opened: dict[str, dict[str, object]] = {}
        for line in read_lines(self._path):
            # The probes note their processes in the same file, in lines without `op`.
            if line.get("op") == "open":
                opened[line["id"]] = line
            elif line.get("op") == "close":
                opened.pop(line["id"], None)
        return list(reversed(opened.values()))
