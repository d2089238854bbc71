"""The run store: one folder per run, enough to judge it again without a cluster.

Several processes may create, write, read and prune at once; nothing here takes a lock. A folder
appears by one rename with its run.json inside and goes by one rename too, `latest` is swapped
atomically, and events are appended in single writes.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.clock import RunClock
from core.errors import SettingsError
from core.files import append_line, read_lines, write_atomic
from core.places import checkout
from core.processes import ProcessId
from reports.origin import commit, versions
from reports.run_info import SCHEMA, RunInfo, read_info

RUN_ID = re.compile(r"\d{8}T\d{6}Z-[a-z0-9-]+-[0-9a-f]{4}")
KEEP_RUNS = 20
KEEP_BYTES = 2 * 1024**3
ABANDONED_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run's folder and its clock; any process may hold one (`Run.open`)."""

    path: Path
    clock: RunClock

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open an existing run; raises SettingsError for what is not a run of this schema."""
        return cls(path=path, clock=RunClock(offset_s=read_info(path).clock_offset_s))

    @property
    def id(self) -> str:
        """The run's id, which is its folder's name."""
        return self.path.name

    @property
    def events(self) -> Path:
        """The event log, events.jsonl."""
        return self.path / "events.jsonl"

    @property
    def samples(self) -> Path:
        """The folder of probe samples."""
        return self.path / "samples"

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.path / "logs"

    @property
    def allure_results(self) -> Path:
        """The folder of allure-pytest's results."""
        return self.path / "allure-results"

    @property
    def ledger(self) -> Path:
        """The ledger of what must be undone, ledger.jsonl."""
        return self.path / "ledger.jsonl"

    @property
    def verdicts(self) -> Path:
        """The verdicts, verdicts.json (see slas.judge)."""
        return self.path / "verdicts.json"

    def info(self) -> RunInfo:
        """Read run.json; raises SettingsError if it is damaged."""
        return read_info(self.path)

    def running(self) -> bool:
        """Tell whether its owner is alive and has not ended it."""
        return _running(self)

    def append(self, kind: str, **fields: object) -> None:
        """Append an event, stamped `t` (Unix seconds of the run's clock); fields may state `t` themselves."""
        append_line(self.events, {"t": self.clock.now(), "kind": kind, **fields})

    def note(
        self, *, versions: Mapping[str, str] | None = None, images: Mapping[str, str] | None = None
    ) -> None:
        """Note versions and image digests as they become known, from any process; finish() collects them."""
        self.append("environment.noted", versions=dict(versions or {}), images=dict(images or {}))

    def finish(self, exit_code: int) -> None:
        """Write the end, the exit code and all that was noted to run.json; for the run's owner only."""
        info = self.info()
        found, images = dict(info.versions), dict(info.images)
        for event in read_lines(self.events):
            if event.get("kind") == "environment.noted":
                found |= event["versions"]
                images |= event["images"]
        ended = info.model_copy(
            update={"ended": _stamp(self.clock), "exit": exit_code, "versions": found, "images": images}
        )
        write_atomic(self.path / "run.json", ended.model_dump_json(indent=2) + "\n")


def _stamp(clock: RunClock) -> str:
    return datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="milliseconds")


class RunStore:
    """The runs under one folder (default: reports/runs of the checkout); `latest` lies beside the folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else checkout() / "reports" / "runs"
        self.link = self.root.parent / "latest"

    def create(
        self,
        environment: str,
        arguments: Sequence[str],
        seed: int,
        *,
        images: Mapping[str, str] | None = None,
        clock: RunClock | None = None,
    ) -> Run:
        """Start a run that this process owns: make its folder, point `latest` to it, prune old ones."""
        clock = clock if clock is not None else RunClock.start()
        owner = ProcessId.of(os.getpid())
        assert owner is not None, "this process runs"
        began = datetime.fromtimestamp(clock.now(), UTC)
        run_id = f"{began:%Y%m%dT%H%M%SZ}-{environment}-{secrets.token_hex(2)}"
        revision, dirty = commit()
        info = RunInfo(
            schema=SCHEMA,
            id=run_id,
            environment=environment,
            commit=revision,
            dirty=dirty,
            versions=versions(),
            images=dict(images or {}),
            seed=seed,
            arguments=tuple(arguments),
            clock_offset_s=clock.offset_s,
            pid=owner.pid,
            start_ticks=owner.start_ticks,
            started=_stamp(clock),
        )
        making = self.root / f".new-{run_id}"
        for folder in ("samples", "logs", "allure-results"):
            (making / folder).mkdir(parents=True)
        write_atomic(making / "run.json", info.model_dump_json(indent=2) + "\n")
        try:
            making.rename(self.root / run_id)
        except OSError:  # the id is taken: same second, same four digits
            shutil.rmtree(making)
            return self.create(environment, arguments, seed, images=images, clock=clock)
        run = Run(path=self.root / run_id, clock=clock)
        self._point(run)
        self.prune(current=run)
        return run

    def runs(self) -> list[Run]:
        """List this store's readable runs, the oldest first; what is foreign or damaged is left out."""
        found = []
        for path in sorted(self.root.glob("*")):
            if RUN_ID.fullmatch(path.name):
                with suppress(SettingsError):
                    found.append(Run.open(path))
        return found

    def latest(self) -> Run | None:
        """Return the run that `latest` points to, or None if there is none."""
        return Run.open(self.link.resolve()) if self.link.exists() else None

    def find(self, name: str) -> Run:
        """Open a run by id, by `latest` or by path; raises SettingsError, which lists the newest runs."""
        for path in (self.root / name, Path(name)):
            if path.is_dir():
                return Run.open(path)
        if name == "latest" and (newest := self.latest()) is not None:
            return newest
        known = ", ".join(run.id for run in self.runs()[-5:]) or "(none yet)"
        raise SettingsError(self.root, "run", f"latest, a path, or one of {known}", name)

    def prune(
        self, *, current: Run | None = None, keep: int = KEEP_RUNS, keep_bytes: int = KEEP_BYTES
    ) -> list[str]:
        """Delete the oldest runs beyond `keep` runs or `keep_bytes` bytes; return their ids.

        The current run, the latest one and those whose owner is alive stay, and count first. Folders that
        are not runs of this store are never touched, except what a killed creator or pruner left.
        """
        self._sweep()
        held = {self.link.resolve().name} | ({current.id} if current is not None else set())
        sizes = {run: _bytes(run.path) for run in self.runs()}
        in_use = {run for run in sizes if run.id in held or _running(run)}
        kept, size = len(in_use), sum(sizes[run] for run in in_use)
        gone: list[str] = []
        for run in sorted(sizes.keys() - in_use, key=lambda run: run.id, reverse=True):
            if not gone and kept < keep and size + sizes[run] <= keep_bytes:
                kept += 1
                size += sizes[run]
                continue
            gone.append(run.id)
            doomed = run.path.with_name(f".gone-{run.id}")
            with suppress(OSError):  # another pruner was faster
                run.path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        return gone

    def _sweep(self) -> None:
        for left in self.root.glob(".gone-*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in self.root.glob(".new-*"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED_S:
                    shutil.rmtree(left, ignore_errors=True)

    def _point(self, run: Run) -> None:
        fresh = self.root / f".latest-{run.id}"
        fresh.symlink_to(os.path.relpath(run.path, self.link.parent))
        fresh.replace(self.link)


def _running(run: Run) -> bool:
    try:
        info = run.info()
    except SettingsError:  # another pruner took it
        return False
    return info.ended is None and ProcessId(pid=info.pid, start_ticks=info.start_ticks).alive()


def _bytes(path: Path) -> int:
    """Return the size of a folder, which may vanish meanwhile (os.walk passes over what is gone)."""
    total = 0
    for folder, _, files in os.walk(path):
        for file in files:
            with suppress(OSError):
                total += Path(folder, file).lstat().st_size
    return total
