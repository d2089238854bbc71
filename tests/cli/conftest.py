"""What the tests of the commands share."""

from __future__ import annotations

from pathlib import Path

import pytest
from workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Return a copy of the checkout, to be made wrong."""
    return Workshop.open(tmp_path)
