"""Doubles of AWS and folders of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import aws_double
from lab.aws_double import AwsDouble


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder whose path is short enough for a provider's socket."""
    with tempfile.TemporaryDirectory(prefix="evi-") as made:
        yield Path(made)


@pytest.fixture
def double() -> Iterator[AwsDouble]:
    """Give a double of this test's own."""
    with tempfile.TemporaryDirectory(prefix="evi-") as made:
        running = aws_double.start(Path(made), record=lambda _line: None)
        yield running
        running.stop()
