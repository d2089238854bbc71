"""The watcher of one outage: ends it when its time is over, or when the process that began it has gone.

`python -m lab.outage_watch FILE LONGEST_S` waits for a line on its standard input first: the caller writes
it once it has recorded this process, so that a killed caller leaves nothing unrecorded.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from core.errors import VerifyError, WaitTimeoutError
from core.waiting import wait_until
from lab import outages

_LOOK_S = 0.25
_RETRY_S = 1.0
# Who takes the lab down ends this process too; until then it does not give up.
_NEVER_S = 7 * 24 * 3600.0


def watch(file: Path, longest_s: float) -> None:
    """Return when the outage has ended, by whomever."""

    def due() -> bool:
        outage = outages.read(file)
        return outage is None or not outage.owner.alive()

    def ended() -> bool:
        outage = outages.read(file)
        if outage is None:
            return True
        try:
            outages.end(outage.lab, outage.what, outage.subject)
        except (VerifyError, OSError) as error:
            print(f"{outage.name}: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return not file.exists()

    with contextlib.suppress(WaitTimeoutError):
        wait_until("an outage's end to be due", due, longest_s, interval_s=_LOOK_S)
    wait_until("an outage to be ended", ended, _NEVER_S, interval_s=_RETRY_S)


if __name__ == "__main__":
    if sys.stdin.readline() == "go\n":
        watch(Path(sys.argv[1]), float(sys.argv[2]))
