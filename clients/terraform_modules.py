"""The modules that a root configuration calls, by the folder that each comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from core.errors import RefusedError

_CALL = re.compile(r'^module\s+"(?P<name>[\w-]+)"\s*\{(?P<body>.*?)^\}', re.MULTILINE | re.DOTALL)
_SOURCE = re.compile(r'^\s*source\s*=\s*"[^"]*?modules/(?P<module>[\w/-]+)"', re.MULTILINE)


def modules(root: Path) -> dict[str, list[str]]:
    """Return each module that `root` uses ("s3") and the addresses of its calls ("module.storage")."""
    found: dict[str, list[str]] = {}
    for file in sorted(root.glob("*.tf")):
        for call in _CALL.finditer(file.read_text()):
            source = _SOURCE.search(call["body"])
            if source is not None:
                found.setdefault(source["module"], []).append(f"module.{call['name']}")
    return found


def targets(root: Path, chosen: Sequence[str]) -> list[str]:
    """Return the addresses of the chosen modules' calls; none chosen means the whole root.

    What they depend on is applied with them. Raises RefusedError for a module that the root does not use.
    """
    known = modules(root)
    for name in chosen:
        if name not in known:
            raise RefusedError(f"module {name!r}: expected one of {', '.join(sorted(known))} ({root})")
    return [address for name in chosen for address in known[name]]
