"""A copy of the checkout whose files may be wrong, and the two public commands run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from core.places import checkout

MEANT = ("environments", "helm", "suites", "terraform", "pyproject.toml")
CODE = ("chaos", "cli", "clients", "core", "fixtures", "lab", "loadtests", "probes", "reports", "slas")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a command ended and what it printed."""

    status: int
    output: str


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A copy of the checkout and an empty machine-wide state."""

    folder: Path
    state: Path

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace a text that occurs in a file."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} lacks {old!r}"
        path.write_text(text.replace(old, new, 1))

    def made(self) -> list[str]:
        """Return what the commands made: runs, and files in the machine-wide state."""
        runs = self.folder.glob("reports/runs/*")
        return [str(path) for path in (*runs, *filter(Path.is_file, self.state.rglob("*")))]

    @classmethod
    def open(cls, parent: Path) -> Workshop:
        """Make a copy that is as the checkout is."""
        folder, state = parent / "copy", parent / "state"
        for name in (*MEANT, *CODE):
            source = checkout() / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "runs", "latest", ".terraform")
                shutil.copytree(source, folder / name, ignore=ignored)
            else:
                shutil.copy2(source, folder / name)
        state.mkdir()
        return cls(folder=folder, state=state)

    def rehearse(self, *arguments: str, **env: str) -> Answer:
        """Run `verify rehearse`."""
        return self._run("-m", "cli.main", "rehearse", *arguments, **env)

    def pytest(self, *arguments: str, suites: str = "suites", **env: str) -> Answer:
        """Run `pytest suites`."""
        return self._run("-m", "pytest", suites, "-p", "no:cacheprovider", *arguments, **env)

    def _run(self, *arguments: str, **env: str) -> Answer:
        given = {name: text for name, text in os.environ.items() if not name.startswith("ECOCHAIN_VERIFY_K")}
        own = {"PYTHONPATH": str(self.folder), "ECOCHAIN_VERIFY_STATE": str(self.state)}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**given, **own, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Answer(status=done.returncode, output=done.stdout + done.stderr)
