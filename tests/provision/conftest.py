"""A machine state of its own for each test module, and nothing left of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.marked import marked
from lab import aws_double


@pytest.fixture
def state_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give an empty machine-wide state; its path is short enough for a provider's socket."""
    folder = Path(tempfile.mkdtemp(prefix="evp-"))
    monkeypatch.setenv("ECOCHAIN_VERIFY_STATE", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def double() -> Iterator[aws_double.AwsDouble]:
    """Give a running double of AWS."""
    folder = Path(tempfile.mkdtemp(prefix="evp-"))
    running = aws_double.start(folder, record=lambda _line: None)
    yield running
    running.stop()
    assert marked(aws_double.MARK, str(folder)) == []
    shutil.rmtree(folder)
