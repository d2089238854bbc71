"""The release file: what is right is read, and what is wrong is one error with file and key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError
from fixtures.acceptance.release import read_release

DIGEST = "sha256:" + "a" * 64
SERVICE = {"version": "1.0.0", "image": "registry/auth-service", "digest": DIGEST, "replicas": 2}
GOOD = {
    "schema": 1,
    "environment": "staging",
    "namespace": "ecochain",
    "created": "2026-11-25T16:00:00+00:00",
    "services": {"auth-service": SERVICE},
}


def read(folder: Path, document: object) -> Any:
    file = folder / "release.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_release(file, environment="staging", namespace="ecochain")


def test_what_was_released_is_read(tmp_path: Path) -> None:
    """Version, digest and replicas of each service; keys of later versions are passed over."""
    found = read(tmp_path, {**GOOD, "later": True}).services["auth-service"]
    assert (found.version, found.digest, found.replicas) == ("1.0.0", DIGEST, 2)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"schema": 2}, "schema"),
        ({"environment": "production"}, "environment"),
        ({"namespace": "other"}, "namespace"),
        ({"created": "yesterday"}, "created"),
        ({"services": {}}, "services"),
        ({"services": {"api": {**SERVICE, "digest": "latest"}}}, "services.api.digest"),
        ({"services": {"api": {**SERVICE, "replicas": -1}}}, "services.api.replicas"),
        ({"services": {"api": {"version": None, "image": "x", "digest": DIGEST}}}, "services.api.replicas"),
    ],
)
def test_a_wrong_file_names_file_and_key(tmp_path: Path, change: Mapping[str, object], key: str) -> None:
    """One line says which file, which key, what was expected and what was got."""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, {**GOOD, **change})
    assert str(caught.value).startswith(f"{tmp_path / 'release.json'}: {key}: expected ")
    assert "\n" not in str(caught.value)


def test_what_is_no_json_names_the_file(tmp_path: Path) -> None:
    """A torn file is not read as an empty one."""
    with pytest.raises(SettingsError, match=r"release\.json: the file: expected"):
        read(tmp_path, '{"schema": 1,')


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It is not taken for a release of nothing."""
    with pytest.raises(SettingsError, match=r"gone\.json: the file: expected a readable release file"):
        read_release(tmp_path / "gone.json", environment="staging", namespace="ecochain")
