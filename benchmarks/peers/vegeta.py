"""vegeta: built once from its Go module into the cache, run in the open, its results read back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from benchmarks.peers.answers import Answer
from core.places import cache
from core.processes import run

VERSION = "v12.13.0"
_PACKAGE = f"github.com/tsenart/vegeta/v12@{VERSION}"
_BUILD_TIMEOUT_S = 600.0


def ensure() -> Path:
    """Return the program, building it first if it is not in the cache; CommandError if that fails.

    Its own go.mod and go.sum pin what it is built from, so its version is the key.
    """
    folder = cache() / f"vegeta-{VERSION}"
    program = folder / "vegeta"
    cache().mkdir(parents=True, exist_ok=True)
    with FileLock(cache() / "vegeta.lock"):
        if not program.exists():
            environment = {
                "CGO_ENABLED": "0",
                "GOBIN": str(folder),
                "GOCACHE": str(cache() / "go-build"),
                "GOFLAGS": "-mod=mod -trimpath",
                "GOTOOLCHAIN": "local",
            }
            run(["go", "install", _PACKAGE], timeout_s=_BUILD_TIMEOUT_S, env=environment)
    return program


def attack(
    program: Path, url: str, output: Path, *, rate: int, span_s: float, timeout_s: float, keep_alive: bool
) -> subprocess.Popen[bytes]:
    """Start an attack at a fixed rate; it ends itself after `span_s`."""
    targets = output.with_suffix(".targets")
    targets.write_text(f"GET {url}\n")
    options = {
        "targets": targets,
        "rate": f"{rate}/s",
        "duration": f"{span_s:.1f}s",
        "timeout": f"{timeout_s:g}s",
        "keepalive": str(keep_alive).lower(),
        "output": output,
    }
    argv = [str(program), "attack", *(f"-{name}={value}" for name, value in options.items())]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, env={**os.environ, "GOMAXPROCS": "1"})


def answers(program: Path, output: Path) -> Iterator[Answer]:
    """Yield what each request of an attack came to."""
    encoded = output.with_suffix(".jsonl")
    run([program, "encode", "-to=json", f"-output={encoded}", output], timeout_s=120)
    with encoded.open() as lines:
        for line in lines:
            result = json.loads(line)
            yield Answer(
                sent_s=datetime.fromisoformat(result["timestamp"]).timestamp(),
                ok=200 <= result["code"] < 400,
            )
