"""Where the double of Atlas has the data of its clusters: in folders of its own, or in a running database."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# SQLite's own, beside a database that is open: what is in them comes with a backup of the database.
_BESIDE = ("-wal", "-shm", "-journal")


class Store(Protocol):
    """The data of clusters."""

    def folder(self, cluster: str) -> Path:
        """Return where a cluster's files lie."""

    @contextmanager
    def stopped(self, cluster: str) -> Iterator[None]:
        """Let nobody read or write a cluster's files meanwhile."""

    def make(self, cluster: str) -> None:
        """Make a cluster's place."""

    def drop(self, cluster: str) -> None:
        """Remove it."""


@dataclass(frozen=True, kw_only=True)
class Folders:
    """A folder for each cluster, of which nobody but the test knows."""

    home: Path

    def folder(self, cluster: str) -> Path:
        """Return the folder."""
        return self.home / cluster

    @contextmanager
    def stopped(self, cluster: str) -> Iterator[None]:  # noqa: ARG002 - nothing runs on it
        """Nothing runs on it."""
        yield

    def make(self, cluster: str) -> None:
        """Make it, empty."""
        self.folder(cluster).mkdir()

    def drop(self, cluster: str) -> None:
        """Remove it with all files."""
        shutil.rmtree(self.folder(cluster))


def save(source: Path, target: Path) -> None:
    """Copy a cluster's files into a new folder; a SQLite database as of one moment, whoever writes to it."""
    target.mkdir()
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".sqlite":
            with closing(sqlite3.connect(file)) as held, closing(sqlite3.connect(copy)) as made:
                held.backup(made)
        elif not file.name.endswith(_BESIDE):
            shutil.copy2(file, copy)


def bring_back(source: Path, target: Path) -> None:
    """Replace a cluster's files by saved ones, owned as those before were, in a folder that stays as it was.

    The volume of a pod is anybody's to write to, and its files are the pod's user's.
    """
    folder = target.stat()
    owner = next((path.stat() for path in target.rglob("*") if path.is_file()), folder)
    for path in target.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    shutil.copytree(source, target, dirs_exist_ok=True)
    target.chmod(stat.S_IMODE(folder.st_mode))  # it had become as open as the snapshot's
    for path in target.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid)
