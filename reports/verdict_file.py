"""verdicts.json, schema 1: written whole, read back as verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.errors import SettingsError
from core.files import write_atomic
from slas.verdicts import Bracket, Outcome, Verdict

SCHEMA = 1


def write_verdicts(file: Path, verdicts: Iterable[Verdict]) -> None:
    """Write all verdicts of a run, atomically."""
    document = {"schema": SCHEMA, "verdicts": [verdict.as_json() for verdict in verdicts]}
    write_atomic(file, json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def read_verdicts(file: Path) -> list[Verdict]:
    """Read them back; raises SettingsError if the file is absent, truncated, foreign or of another schema."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(file, "the file", "whole JSON", str(error)) from None
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise SettingsError(file, "schema", f"{SCHEMA}, the one this version reads", found)
    try:
        return [_verdict(record) for record in document["verdicts"]]
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(file, "verdicts", "records as in docs/formats.md", repr(error)) from None


def _verdict(record: dict[str, Any]) -> Verdict:
    measured = record["measured"]
    bracket = Bracket(**measured) if isinstance(measured, dict) else measured
    return Verdict(**{**record, "verdict": Outcome(record["verdict"]), "measured": bracket})
