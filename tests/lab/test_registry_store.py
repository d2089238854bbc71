"""The registry's store outlives the labs, up to a size."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import registry


def test_a_store_that_has_grown_too_large_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the bound what was pushed is kept; beyond it the next lab starts with nothing."""
    monkeypatch.setenv("ECOCHAIN_VERIFY_CACHE", str(tmp_path))
    monkeypatch.setattr(registry, "_LARGEST_BYTES", 10)
    registry.prune()
    blob = registry.storage() / "docker/blob"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x" * 10)
    registry.prune()
    assert blob.exists()
    blob.write_bytes(b"x" * 11)
    registry.prune()
    assert not blob.exists()
