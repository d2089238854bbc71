"""The writer of a load's samples: `python -m loadtests.writer RUN_DIR LOAD_ID`, JSON lines on stdin.

A process of its own, so that writing Parquet never delays a request. It ends with its input, when all
processes that send the load have ended or died, and has then written what they handed over. Exit status:
0, or 1 when the disk refused.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from slas.samples import SegmentWriter

SEGMENT_S = 0.5
_PIPE_BYTES = 1 << 20


class Row(NamedTuple):
    """A sample in the order of the hand-over line."""

    series: str
    scheduled_s: float
    sent_s: float
    finished_s: float
    outcome: str
    phase: str
    status: int
    instance: str
    version: str
    error: str
    retry: bool


def rows_of(lines: Iterable[bytes]) -> list[Row]:
    """Read whole lines; one that is no sample raises ValueError."""
    try:
        return [Row(*json.loads(line)["s"]) for line in lines]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a sample: {error!r}") from error


def main(arguments: list[str]) -> int:
    """Write segments until the input ends."""
    folder, load_id = Path(arguments[0]) / "samples", arguments[1]
    writer = SegmentWriter(folder, load_id)
    rest, rows, ended = b"", list[Any](), False
    while not ended:
        due = time.monotonic() + SEGMENT_S
        while not ended and (left_s := due - time.monotonic()) > 0:
            if select.select([0], [], [], left_s)[0]:
                read = os.read(0, _PIPE_BYTES)
                ended = not read
                *whole, rest = (rest + read).split(b"\n")
                rows += rows_of(whole)
        try:
            writer.write(rows)
        except OSError as error:
            sys.stderr.write(f"{folder}: {error}\n")
            return 1
        rows = []
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
