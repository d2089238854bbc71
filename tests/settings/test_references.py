"""What a cluster that is no lab must be told: each image that its nodes are to pull."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clients.kubernetes import Cluster
from core.errors import SettingsError
from fixtures.providers import KubeconfigProvider
from fixtures.settings import load_settings
from fixtures.settings_model import Settings

PINNED = "ghcr.io/ecochain/x@sha256:" + "0" * 64
KUBECONFIG = """
{"apiVersion": "v1", "kind": "Config", "current-context": "c",
 "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
 "users": [{"name": "u", "user": {}}],
 "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}
"""


def told(settings: dict[str, Any], *, releases: bool, stores: bool, agent: bool) -> Settings:
    """Return the settings with these images named."""
    images = {"current": PINNED, "upgrade": PINNED, "bad": PINNED}
    for release in settings["releases"].values():
        release["images"] = images if releases else None
    for store in settings["stores"].values():
        store["image"] = PINNED if stores else None
    settings["probes"]["image"] = PINNED if agent else None
    return Settings.model_validate(settings)


@pytest.mark.parametrize(
    ("named", "key"),
    [
        ({"releases": False, "stores": True, "agent": True}, "releases.auth-service.images"),
        ({"releases": True, "stores": False, "agent": True}, "stores.ferretdb.image"),
        ({"releases": True, "stores": True, "agent": False}, "probes.image"),
    ],
)
def test_an_image_that_is_not_named_is_refused_before_anything(
    named: dict[str, bool], key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its key; with all of them named, nothing is refused."""
    monkeypatch.setattr(Cluster, "version", lambda _: "v1")
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    given = load_settings("lab", environ={}).model_dump() | {"cluster": {"kubeconfig": str(kubeconfig)}}
    with pytest.raises(SettingsError) as caught:
        KubeconfigProvider(settings=told(given, **named)).check()
    assert caught.value.key == key
    KubeconfigProvider(settings=told(given, releases=True, stores=True, agent=True)).check()
