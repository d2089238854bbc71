"""The bucket keeps every version, encrypted, for nobody but us, over TLS."""

from __future__ import annotations

import pytest

from fixtures.infrastructure.reading import Infrastructure

pytestmark = [pytest.mark.readonly, pytest.mark.quick]


def test_every_version_is_kept(s3: Infrastructure) -> None:
    """An overwritten or deleted object can be had back."""
    assert s3.bucket("bucket_versioning", "Status") == "Enabled"


def test_objects_are_encrypted(s3: Infrastructure) -> None:
    """Objects are encrypted without being asked for, by the environment's key where one is promised."""
    found = s3.bucket("bucket_encryption", "ServerSideEncryptionConfiguration")
    assert found is not None
    [rule] = found["Rules"]
    by = rule["ApplyServerSideEncryptionByDefault"]
    assert by["SSEAlgorithm"] == ("aws:kms" if s3.promises.customer_key else "AES256")
    assert not s3.promises.customer_key or ":key/" in by["KMSMasterKeyID"]


def test_public_access_is_blocked(s3: Infrastructure) -> None:
    """All four of S3's blocks are on."""
    blocks = s3.bucket("public_access_block", "PublicAccessBlockConfiguration") or {}
    expected = {"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"}
    assert {name for name, on in blocks.items() if on} == expected


def test_objects_have_no_access_lists(s3: Infrastructure) -> None:
    """The bucket's owner owns every object, so that the policy alone decides."""
    rules = (s3.bucket("bucket_ownership_controls", "OwnershipControls") or {}).get("Rules")
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_only_tls_is_spoken(s3: Infrastructure) -> None:
    """A request without TLS, or with an old one, is denied to everyone, for everything in the bucket."""
    denied = [
        statement
        for statement in s3.bucket_statements()
        if (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
        and len(statement["Resource"]) == 2
    ]
    conditions = [statement["Condition"] for statement in denied]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
    assert {"NumericLessThan": {"s3:TlsVersion": "1.2"}} in conditions


def test_nobody_is_let_in_but_the_distribution(s3: Infrastructure) -> None:
    """What the policy allows, it allows CloudFront for one distribution of ours, for reading."""
    for statement in s3.bucket_statements():
        if statement["Effect"] == "Allow":
            assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
            assert statement["Action"] == "s3:GetObject"
            assert statement["Condition"]["StringEquals"]["aws:SourceArn"] == s3.distribution()["ARN"]


def test_superseded_versions_and_unfinished_uploads_go(s3: Infrastructure) -> None:
    """What nobody asks for again is deleted in the end, and current objects never are."""
    rules = s3.bucket("bucket_lifecycle_configuration", "Rules")
    if rules is None and s3.outputs.get("lifecycle_rules") is False:
        pytest.skip("lifecycle rules were switched off (variable lifecycle_rules)")
    on = [rule for rule in rules or () if rule["Status"] == "Enabled"]
    assert [rule for rule in on if rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")]
    assert [rule for rule in on if rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")]
    assert not [rule for rule in on if {"Days", "Date"} & set(rule.get("Expiration", {}))]
