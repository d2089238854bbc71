"""Folders of the host that a lab needs as mount points, made where missing and removed after the last lab.

Some programs write to a path that no setting changes: every kubelet its device plugins' socket, the CNI
library its results, the agent of faults its notes. A machine lays a folder of its own over each, so that two
nodes, or a lab and a real node on this host, do not share it; a mount needs the path to exist.
"""

from __future__ import annotations

from pathlib import Path

from core.files import append_line, read_lines
from core.places import state

OVERLAID = (Path("/var/lib/kubelet"), Path("/var/lib/cni"), Path("/var/lib/ecochain-chaos"))
_NETNS = Path("/run/netns")


def _ledger() -> Path:
    return state() / "host-folders.jsonl"


def make() -> None:
    """Make those that are missing; each is noted, durably, before it is made. Hold the machine's lock."""
    for folder in (*OVERLAID, _NETNS):
        if not folder.exists():
            append_line(_ledger(), {"folder": str(folder)}, durable=True)
            folder.mkdir(mode=0o755)


def remove() -> None:
    """Remove those that `make` made and that are empty. Hold the machine's lock; no lab may be left."""
    for line in read_lines(_ledger()):
        try:
            Path(line["folder"]).rmdir()
        except OSError:
            continue  # gone at a reboot, or somebody else's files are in it now
    _ledger().unlink(missing_ok=True)
