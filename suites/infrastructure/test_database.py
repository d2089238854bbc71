"""The database is private, encrypted, backed up, and survives what it is promised to."""

from __future__ import annotations

import pytest

from fixtures.infrastructure.reading import Infrastructure

pytestmark = [pytest.mark.readonly, pytest.mark.quick]


def test_the_database_is_encrypted(rds: Infrastructure) -> None:
    """Storage is encrypted, by the environment's key where one is promised."""
    found = rds.database()
    assert found["StorageEncrypted"]
    assert not rds.promises.customer_key or ":key/" in found["KmsKeyId"]


def test_the_database_is_private(rds: Infrastructure) -> None:
    """It has no public address and lies in private subnets."""
    assert not rds.database()["PubliclyAccessible"]
    assert rds.subnets_of_database() == {subnet["SubnetId"] for subnet in rds.private_subnets()}


def test_the_database_speaks_tls_only(rds: Infrastructure) -> None:
    """A connection without TLS is refused."""
    assert rds.database_parameters().get("rds.force_ssl") == "1"


def test_the_database_is_backed_up(rds: Infrastructure) -> None:
    """Daily backups are kept for as long as promised."""
    assert rds.database()["BackupRetentionPeriod"] >= rds.promises.backup_days


def test_the_database_survives_the_loss_of_a_zone(rds: Infrastructure) -> None:
    """Where it is promised, a standby in another zone takes over."""
    if not rds.promises.multi_az:
        pytest.skip(f"not promised for {rds.environment}")
    assert rds.database()["MultiAZ"]


def test_the_database_is_not_deleted_by_mistake(rds: Infrastructure) -> None:
    """Where data matters, deletion is refused until protection is taken off; elsewhere it leaves nothing."""
    assert rds.database()["DeletionProtection"] == rds.promises.lasting


def test_pods_may_use_their_roles_to_log_in(rds: Infrastructure) -> None:
    """Logging in by IAM is on, so that no password has to be handed out."""
    assert rds.database()["IAMDatabaseAuthenticationEnabled"]


def test_the_password_is_known_to_aws_alone(rds: Infrastructure) -> None:
    """RDS keeps the master password in Secrets Manager and rotates it."""
    if rds.on_double:
        pytest.skip("the double keeps no secret for an instance: docs/terraform.md")
    assert rds.database()["MasterUserSecret"]["SecretStatus"] == "active"
