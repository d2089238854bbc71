"""A machine state of its own for each test module, and nothing left of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from account import ACCESS_KEY, SECRET_KEY, Account

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


@pytest.fixture(scope="module")
def account(double: aws_double.AwsDouble) -> Iterator[Account]:
    """Give a stand-in of an account, and the credentials of it in the environment."""
    folder = Path(tempfile.mkdtemp(prefix="evp-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        patch.setenv("AWS_CONFIG_FILE", "/dev/null")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.delenv("AWS_PROFILE", raising=False)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        yield Account.of(double, folder)
    shutil.rmtree(folder)
