"""What the double of Atlas saves of a database, and brings back so that the database can go on with it."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from atlas_stores import bring_back, save

# The user of a pod; without the rights to make a file another's, one's own.
USER = 10001 if os.geteuid() == 0 else os.geteuid()


def test_the_database_may_write_to_what_was_brought_back(tmp_path: Path) -> None:
    """The files are its user's again and the volume is as open as before, though the snapshot is closed."""
    volume, file = tmp_path / "volume", tmp_path / "volume" / "ecochain.sqlite"
    volume.mkdir()
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE accounts (email)")
    volume.chmod(0o777)
    os.chown(file, USER, -1)
    save(volume, tmp_path / "snapshot")
    file.write_bytes(b"")
    bring_back(tmp_path / "snapshot", volume)
    assert stat.S_IMODE(volume.stat().st_mode) == 0o777
    assert file.stat().st_uid == USER
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("accounts",)]
