"""Finished pieces of a long campaign, kept by commit: an interrupted one goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.origin import revision
from core.files import write_atomic
from core.places import cache


def piece(name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a piece's result: the one kept for this commit and these changes, else measured and kept now."""
    path = cache() / "campaigns" / revision() / f"{name}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    result = measure()
    write_atomic(path, json.dumps(result, indent=1) + "\n")
    return result
