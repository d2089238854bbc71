"""The notes of a node's agent: what undoing an act needs, on the node's disk before the act."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos.agents import Act
from core.errors import MisuseError
from core.files import sync_folder, write_atomic

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


class Notes:
    """A folder with a file per act that is open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, act: Act, noted: Mapping[str, Any]) -> None:
        """Write durably what undoing the act needs. MisuseError for an id that is no file's name."""
        text = json.dumps({"act": asdict(act), "noted": dict(noted)}, indent=1)
        write_atomic(self._path(act.id), text, 0o600, durable=True)

    def remove(self, act_id: str) -> None:
        """Write that the act is undone; what is not there is no error."""
        self._path(act_id).unlink(missing_ok=True)
        sync_folder(self.folder)

    def read(self) -> tuple[list[tuple[Act, dict[str, Any]]], list[str]]:
        """Return the open acts with what was noted, and what lies there that is no note."""
        found: list[tuple[Act, dict[str, Any]]] = []
        strange: list[str] = []
        for path in sorted(self.folder.iterdir()):
            if path.name.startswith(".") and path.name.endswith(".tmp"):
                path.unlink(missing_ok=True)  # a write that a kill cut off: its act had not begun
                continue
            try:
                record = json.loads(path.read_text())
                found.append((Act(**record["act"]), dict(record["noted"])))
            except (OSError, ValueError, KeyError, TypeError) as error:
                strange.append(f"{path.name}: {error!r}")
        return found, strange

    def _path(self, act_id: str) -> Path:
        if not _ID.fullmatch(act_id):
            raise MisuseError(f"act's id: expected letters, digits, '.', '_' and '-', got {act_id!r}")
        return self.folder / f"{act_id}.json"
