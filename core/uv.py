"""uv, which installs Python packages from the one lock file: found beside Python, on PATH, or as a module."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from core.errors import RefusedError


def uv_command() -> list[str]:
    """Return the words that start uv; RefusedError when there is none."""
    beside = Path(sys.executable).with_name("uv")
    if beside.is_file():
        return [str(beside)]
    if found := shutil.which("uv"):
        return [found]
    if find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    raise RefusedError("uv: not found beside Python or on PATH; `make setup` installs it")
