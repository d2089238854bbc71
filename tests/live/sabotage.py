"""A copy of the checkout to sabotage, and the public command run in it on a live lab."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self
from uuid import uuid4

import yaml

from clients.marked import end_marked, marked
from core.files import read_lines
from core.places import checkout
from core.processes import ProcessId
from core.waiting import wait_until

# Every process of one command carries it, so that none can be overlooked.
MARK = "ECOCHAIN_VERIFY_TEST_COMMAND"
REHEARSE = ("-m", "cli.main", "rehearse", "--env=lab", "--seed=7")
PLATFORM = (
    "auth-service",
    "user-service",
    "collection-service",
    "vision-service",
    "marketplace-service",
    "api",
)
SUITES = ("-m", "pytest", "suites", "--env=lab", "--seed=7")


class LabInUse(Protocol):
    """The lab that the tests share."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def kubeconfig(self) -> Path:
        """Its administrator's kubeconfig."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy of the checkout's sources, with an environment `lab` that is quick and uses the tests' lab."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, lab: str, *, services: Collection[str] = ("auth-service",)) -> Copy:
        """Copy what git tracks or would track, shorten the scenarios' phases, keep only these services.

        The acceptance suites need all services, so a copy without some of them has none of those.
        """
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=checkout(),
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            source, target = checkout() / name, folder / name
            if source.exists():  # what git lists may have been deleted
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        copy = cls(folder=folder)
        copy.keep(services)
        copy.setting("environment", provision=None)
        copy.setting("lab", name=lab)
        copy.setting("scenarios", steady_s=3, lead_s=1, settle_s=3)
        copy.setting("load", rate=50)
        # A bound that the requests of so short a window can be held against: 149 of them resolve 2 %.
        copy.setting("slas.error_ratio", allowed=0.02)
        copy.setting("releases.auth-service", failing_timeout_s=8)
        return copy

    def keep(self, services: Collection[str], file: str = "environments/lab.toml") -> None:
        """Take the other services, and what needs them, out of a settings file and of the suites."""
        path = self.folder / file
        head, *tables = path.read_text().split("\n[")
        unwanted = [f"releases.{name}" for name in PLATFORM if name not in services]
        kept = [table for table in tables if not table.startswith(tuple(f"{name}]" for name in unwanted))]
        path.write_text("\n[".join([head, *kept]))
        if unwanted:
            self.setting("load", file, front_door=None)
            shutil.rmtree(self.folder / "suites/acceptance", ignore_errors=True)

    def setting(self, table: str, file: str = "environments/lab.toml", **values: object) -> None:
        """Set keys of a table of a settings file; None takes a key away."""
        path = self.folder / file
        head, header, rest = path.read_text().partition(f"[{table}]\n")
        assert header, f"{file} has no table [{table}]"
        body, bracket, tail = rest.partition("\n[")
        lines = [line for line in body.splitlines() if line.partition(" =")[0] not in values]
        lines += [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
        path.write_text(f"{head}{header}" + "\n".join(filter(None, lines)) + f"\n{bracket}{tail}")

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that occurs exactly once; a sabotage that finds nothing to break is no test."""
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file}: {old!r} occurs {text.count(old)} times"
        path.write_text(text.replace(old, new))

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Command:
        """Start Python with these arguments in the copy, whose modules win over the installed ones."""
        mark = uuid4().hex
        output = self.folder / f"output-{mark}.txt"
        with output.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(self.folder), MARK: mark, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Command(copy=self, process=process, mark=mark, output_file=output)

    def play(self, text: str, *more: str, timeout_s: float = 240) -> Ended:
        """Write a scenario to a file of its name, and play it by the public command on the lab."""
        file = self.folder / f"{yaml.safe_load(text)['name']}.yaml"
        file.write_text(text)
        arguments = ("-m", "cli.main", "chaos", "run", str(file), "--env=lab", "--seed=7", *more)
        return self.run(*arguments, timeout_s=timeout_s)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = 240) -> Ended:
        """Run Python with these arguments in the copy to its end."""
        with self.start(*arguments, env=env) as command:
            return command.end(timeout_s)


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A running command in a copy; leaving it ends whatever is left of it."""

    copy: Copy
    process: subprocess.Popen[bytes]
    mark: str
    output_file: Path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_marked(MARK, self.mark)
        self.process.wait()

    @property
    def output(self) -> str:
        """Return what it printed so far."""
        return self.output_file.read_text(errors="replace")

    def end(self, timeout_s: float) -> Ended:
        """Wait for its end."""
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"not ended within {timeout_s:g} s:\n{self.output}") from error
        return Ended(copy=self.copy, status=status, output=self.output)

    def left(self) -> list[ProcessId]:
        """Return the processes of this command that live."""
        return marked(MARK, self.mark)

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal signals the whole foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait_in_scenario(self, scenario: str, kind: str = "scenario.started", timeout_s: float = 120) -> Run:
        """Return the command's run as soon as an event of that kind has happened after the scenario began."""

        def there() -> Run | None:
            assert self.process.poll() is None, f"ended before {scenario}:\n{self.output}"
            if not (self.copy.folder / "reports/latest").exists():
                return None
            run = Run.latest(self.copy)
            began = [e["t"] for e in run.of_kind("scenario.started") if e["scenario"] == scenario]
            return run if began and any(e["t"] >= began[0] for e in run.of_kind(kind)) else None

        return wait_until(f"{kind} in {scenario}", there, timeout_s, last=lambda: self.output[-2000:])


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run's folder, as any reader finds it."""

    path: Path

    @classmethod
    def latest(cls, copy: Copy) -> Run:
        """Return the newest run of a copy."""
        return cls(path=(copy.folder / "reports/latest").resolve(strict=True))

    def of_kind(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the events of these kinds."""
        return [event for event in read_lines(self.path / "events.jsonl") if event["kind"] in kinds]

    def info(self) -> dict[str, Any]:
        """Return run.json."""
        found: dict[str, Any] = json.loads((self.path / "run.json").read_text())
        return found


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that has ended, and the run that it left."""

    copy: Copy
    status: int
    output: str
    _read: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def run(self) -> Run:
        """Return the run."""
        return Run.latest(self.copy)

    @property
    def told(self) -> dict[str, Any]:
        """Return the JSON at the end of what it printed; progress comes before it."""
        found: dict[str, Any] = json.loads(self.output[self.output.index("\n{\n") :])
        return found

    def verdicts(self, scenario: str) -> dict[str, dict[str, Any]]:
        """Return verdicts.json's records of a scenario by SLA."""
        document = json.loads((self.run.path / "verdicts.json").read_text())
        return {one["sla"]: one for one in document["verdicts"] if one["scenario"] == scenario}

    def outcomes(self, scenario: str) -> dict[str, str]:
        """Return a scenario's verdicts by SLA, in the words of verdicts.json."""
        return {sla: str(one["verdict"]) for sla, one in self.verdicts(scenario).items()}
