"""The lab's AWS side whole: applied by the real provider, read back, planned again, destroyed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from applied import outcomes

from fixtures.infrastructure.reading import infrastructure_of
from fixtures.provision_drift import drift
from fixtures.provisioning import Provision

ALL = ("vpc", "eks", "rds", "elasticache", "s3", "cloudfront")
# What the double forgets, so that a plan shows it again: docs/terraform.md has each attribute.
FORGOTTEN = {
    "module.platform.module.cdn[0].aws_cloudfront_response_headers_policy.this: update",
    "module.platform.module.rds[0].aws_db_instance.this: update",
    "module.platform.module.redis[0].aws_elasticache_parameter_group.this: update",
    "module.platform.module.redis[0].aws_elasticache_replication_group.this: update",
}


@pytest.fixture
def state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a machine-wide state of this test's own."""
    monkeypatch.setenv("ECOCHAIN_VERIFY_STATE", str(folder / "s"))
    yield folder / "s"
    assert list((folder / "s" / "terraform").glob("run-*")) == []


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("state")
def test_the_whole_lab_is_applied_read_back_and_destroyed(
    folder: Path, record_property: Callable[[str, object], None]
) -> None:
    """Every AWS module stands as promised, and a second plan shows only what the double forgets."""
    provision = Provision(run_id="run-l", modules=ALL, variables={"lifecycle_rules": True})
    started = time.monotonic()
    try:
        made = provision.apply()
        applied_s = time.monotonic() - started
        address = provision.place.variables()["aws_endpoint_url"]
        described = {
            "outputs": dict(made.values),
            "endpoint_url": address,
            "region": "us-east-1",
            "run_id": "run-l",
            "environment": "lab",
        }
        got = outcomes({"lab": described}, folder)["lab"]
        assert {test: result for test, result in got.items() if result in {"failed", "error"}} == {}
        assert got["test_everything_that_can_carry_tags_says_whose_it_is"] == "passed"
        assert set(drift("run-l")) == FORGOTTEN
        assert infrastructure_of(described).everything
    finally:
        started = time.monotonic()
        provision.destroy()
    record_property("applied_s", round(applied_s, 1))
    record_property("destroyed_s", round(time.monotonic() - started, 1))
