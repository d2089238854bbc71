"""Where a run comes from: the commit of the checkout and the versions of what runs it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.errors import CommandError
from core.places import checkout
from core.processes import run

PACKAGES = ("ecochain-verify", "allure-pytest", "kubernetes", "locust", "pytest")


def commit(folder: Path | None = None) -> tuple[str | None, bool | None]:
    """Return the checked-out commit and whether the tree differs from it; (None, None) without git."""
    git: list[str | Path] = ["git", "-C", folder if folder is not None else checkout()]
    try:
        head = run([*git, "rev-parse", "HEAD"], timeout_s=10).stdout.strip()
        return head, bool(run([*git, "status", "--porcelain"], timeout_s=30).stdout.strip())
    except CommandError:
        return None, None


def versions() -> dict[str, str]:
    """Return the versions of Python, the system and the packages that decide a verdict."""
    found = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
