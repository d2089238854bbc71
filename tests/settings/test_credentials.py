"""The Secrets of an environment: made for what it deploys, fresh each time, and told to the cluster only."""

from __future__ import annotations

import json
from typing import Any, cast

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from clients.kubernetes import Cluster
from fixtures import credentials
from fixtures.settings import load_settings
from fixtures.settings_model import Settings


class Recorder:
    def __init__(self) -> None:
        self.made: dict[str, dict[str, str]] = {}

    def create(self, resource: str, manifest: dict[str, Any]) -> None:
        assert resource == "secrets"
        self.made[manifest["metadata"]["name"]] = manifest["stringData"]


def made(settings: Settings, environ: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
    recorder = Recorder()
    credentials.create(cast("Cluster", recorder), settings, {"run": "x"}, environ or {})
    return recorder.made


@pytest.fixture
def lab() -> Settings:
    return load_settings("lab", environ={})


@pytest.fixture
def bare(lab: Settings) -> Settings:
    return lab.model_copy(update={"stores": {}})


def test_signing_keys_are_fresh_es256_keys_that_sign(bare: Settings) -> None:
    """Two runs share no key, and a token signed by the first verifies with its public half."""
    first, second = (json.loads(made(bare)["auth-jwt"]["keys.json"])["keys"][0] for _ in range(2))
    assert first["kid"] != second["kid"]
    assert first["private_key"] != second["private_key"]
    key = load_pem_private_key(first["private_key"].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    token = jwt.encode({"sub": "x"}, first["private_key"], algorithm="ES256")
    assert jwt.decode(token, key.public_key(), algorithms=["ES256"]) == {"sub": "x"}


def test_stores_that_are_not_deployed_come_from_variables(bare: Settings) -> None:
    """Or have no Secret at all, so that what needs one does not start with a wrong one."""
    assert not {"mongodb", "redis"} & made(bare).keys()
    given = made(
        bare,
        {"ECOCHAIN_VERIFY_MONGODB_URI": "mongodb://a/b", "ECOCHAIN_VERIFY_REDIS_URL": "rediss://c"},
    )
    assert given["mongodb"] == {"uri": "mongodb://a/b"}
    assert given["redis"] == {"url": "rediss://c"}
