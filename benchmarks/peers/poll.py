"""The poll that most scripts are: one request after the other, a pause between them.

`python -m benchmarks.peers.poll CONFIG.json` with {url, pause_s, timeout_s}; it prints a JSON line
{sent_s, ok} for each request and ends with its stdin.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import httpx


def main(config: dict[str, object]) -> None:
    """Poll until stdin ends."""
    url, pause_s, timeout_s = (
        str(config["url"]),
        float(str(config["pause_s"])),
        float(str(config["timeout_s"])),
    )
    ended = threading.Event()

    def watch_stdin() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=watch_stdin, daemon=True).start()
    while not ended.is_set():
        sent_s = time.time()
        try:
            ok = httpx.get(url, timeout=timeout_s, trust_env=False).is_success
        except httpx.HTTPError:
            ok = False
        print(json.dumps({"sent_s": sent_s, "ok": ok}), flush=True)
        ended.wait(pause_s)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
