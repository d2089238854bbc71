"""A registry is asked for an image before anything is replaced by it."""

from __future__ import annotations

import httpx
import pytest

from core.errors import EnvironmentFailedError
from fixtures.registries import require_image

DIGEST = "sha256:" + "a" * 64
ASKED: list[httpx.Request] = []


def registry(status: int) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        ASKED.append(request)
        return httpx.Response(status)

    return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("10.201.0.1:5000/ecochain/api", "http://10.201.0.1:5000/v2/ecochain/api/manifests/"),
        ("localhost:5000/api", "http://localhost:5000/v2/api/manifests/"),
        ("ghcr.io/ecochain/api", "https://ghcr.io/v2/ecochain/api/manifests/"),
        ("docker.io/ecochain/api", "https://registry-1.docker.io/v2/ecochain/api/manifests/"),
    ],
)
def test_the_registry_of_the_reference_is_asked_for_the_digest(name: str, url: str) -> None:
    """In plain HTTP only where the address is private."""
    assert require_image(f"{name}@{DIGEST}", transport=registry(200))
    assert str(ASKED[-1].url) == url + DIGEST
    assert ASKED[-1].method == "HEAD"
    assert "application/vnd.oci.image.manifest.v1+json" in ASKED[-1].headers["Accept"]


def test_a_mirror_is_asked_for_whatever_name() -> None:
    """As the nodes of the lab ask its registry."""
    reference = f"docker.io/ecochain/api@{DIGEST}"
    assert require_image(reference, "10.201.0.2:5000", transport=registry(200))
    assert str(ASKED[-1].url) == f"http://10.201.0.2:5000/v2/ecochain/api/manifests/{DIGEST}"


@pytest.mark.parametrize("status", [404, 400, 500])
def test_a_missing_image_is_an_error_that_names_it(status: int) -> None:
    """And says that nothing was replaced."""
    reference = f"10.201.0.1:5000/ecochain/api@{DIGEST}"
    with pytest.raises(EnvironmentFailedError, match="nothing was replaced") as caught:
        require_image(reference, transport=registry(status))
    assert reference in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_wants_a_login_says_nothing(status: int) -> None:
    """The nodes may have the login that this machine lacks: neither there nor missing."""
    assert not require_image(f"ghcr.io/ecochain/api@{DIGEST}", transport=registry(status))


def test_a_mirror_that_does_not_answer_is_an_error() -> None:
    """What this machine started must answer it; another registry may be for the nodes alone."""
    with pytest.raises(EnvironmentFailedError, match=r"does not answer.*ConnectError"):
        require_image(f"docker.io/api@{DIGEST}", "127.0.0.1:1")
    assert not require_image(f"127.0.0.1:1/api@{DIGEST}")
