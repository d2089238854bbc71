"""The program that makes and removes a volume's folder, as local-path-provisioner calls it."""

from __future__ import annotations

from pathlib import Path

from core.processes import run
from lab import programs


def _act(path: Path, action: str) -> int:
    words = ["-p", path, "-s", "1073741824", "-m", "Filesystem", "-a", action]
    done = run([programs.ensure("volume-folder"), *words], timeout_s=20, check=False)
    return done.returncode


def test_a_folder_is_made_for_any_user_and_removed_with_what_is_in_it(tmp_path: Path) -> None:
    """Making one that is there keeps what is in it; removing one that has gone is no error."""
    volume = tmp_path / "volumes" / "pvc"
    assert _act(volume, "create") == 0
    assert volume.stat().st_mode & 0o777 == 0o777
    (volume / "data").write_text("kept")
    assert _act(volume, "create") == 0
    assert (volume / "data").read_text() == "kept"
    assert _act(volume, "delete") == 0
    assert not volume.exists()
    assert _act(volume, "delete") == 0


def test_an_action_that_is_neither_fails_and_touches_nothing(tmp_path: Path) -> None:
    """A misread argument removes nobody's data."""
    (tmp_path / "data").write_text("kept")
    assert _act(tmp_path, "purge") == 1
    assert (tmp_path / "data").exists()
