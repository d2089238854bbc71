"""Where things live on this machine: the checkout, the cache and the state."""

from __future__ import annotations

import os
from pathlib import Path


def checkout() -> Path:
    """Return the project's root folder (the package is installed in place)."""
    return Path(__file__).resolve().parent.parent


def cache() -> Path:
    """Return the folder of what is slow to build: `$ECOCHAIN_VERIFY_CACHE` or ~/.cache/ecochain-verify."""
    named = os.environ.get("ECOCHAIN_VERIFY_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "ecochain-verify"


def state() -> Path:
    """Return the machine-wide folder of what must outlive a crash: labs, Terraform state, ledgers.

    It is one per machine (`$ECOCHAIN_VERIFY_STATE` or /var/lib/ecochain-verify), not per checkout, so
    that any later run finds what a killed one left.
    """
    return Path(os.environ.get("ECOCHAIN_VERIFY_STATE", "/var/lib/ecochain-verify"))
