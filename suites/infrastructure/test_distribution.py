"""The distribution speaks HTTPS only, and is the one way to the bucket."""

from __future__ import annotations

import pytest

from fixtures.infrastructure.reading import Infrastructure

pytestmark = [pytest.mark.readonly, pytest.mark.quick]


def test_visitors_are_sent_to_https(cloudfront: Infrastructure) -> None:
    """No path of the distribution answers without TLS."""
    found = cloudfront.distribution()
    behaviours = [found["DefaultCacheBehavior"], *(found.get("CacheBehaviors") or {}).get("Items", ())]
    policies = {behaviour["ViewerProtocolPolicy"] for behaviour in behaviours}
    assert policies <= {"redirect-to-https", "https-only"}


def test_browsers_are_told_to_stay_with_https(cloudfront: Infrastructure) -> None:
    """Answers carry Strict-Transport-Security for a year."""
    policy = cloudfront.distribution()["DefaultCacheBehavior"].get("ResponseHeadersPolicyId")
    assert policy
    transport = cloudfront.response_headers(policy)["StrictTransportSecurity"]
    assert transport["Override"]
    assert transport["AccessControlMaxAgeSec"] >= 31_536_000


def test_the_bucket_is_asked_with_a_signature(cloudfront: Infrastructure) -> None:
    """The distribution signs its requests, so that the bucket can tell it from anyone else."""
    [origin] = cloudfront.distribution()["Origins"]["Items"]
    assert origin.get("OriginAccessControlId")


def test_old_tls_is_refused_under_our_own_names(cloudfront: Infrastructure) -> None:
    """With a certificate of our own, TLS 1.2 is the least."""
    found = cloudfront.distribution()["ViewerCertificate"]
    if found.get("CloudFrontDefaultCertificate"):
        pytest.skip("CloudFront's own certificate: its TLS version is CloudFront's to set")
    assert found["MinimumProtocolVersion"].startswith("TLSv1.2")
