"""Images are pushed to a registry under the tags of docker/metadata-action, logged in to as Docker is."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from core.errors import CommandError, EnvironmentFailedError, RefusedError
from lab import programs, publishing, registry
from lab.images import Image, static_image
from lab.publishing import default_tags, publish


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Give the address of a real registry on loopback with an empty store."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found = f"127.0.0.1:{probe.getsockname()[1]}"
    binary = programs.ensure("registry")
    command = registry.command(binary, found, tmp_path / "store", tmp_path / "registry.yml")
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        registry.wait(found)
        yield found
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def small(tmp_path: Path) -> Image:
    """Give an image of one small file."""
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    return static_image("docker.io/ecochain/api", "1", files={"/p": program}, entrypoint=["/p"])


def test_an_image_is_there_under_every_tag_and_by_its_digest(address: str, small: Image) -> None:
    """What was pushed is what was built, wherever a tag leads to it; a second push changes nothing."""
    for _ in range(2):
        published = publish([small], f"{address}/owner", ["main", "sha-1234567"])
        assert [(one.name, one.digest) for one in published] == [(f"{address}/owner/api", small.digest)]
    for reference in ("main", "sha-1234567", small.digest):
        url = f"http://{address}/v2/owner/api/manifests/{reference}"
        found = httpx.get(url, headers={"Accept": registry.MANIFEST})
        assert found.headers["docker-content-digest"] == small.digest


def test_a_registry_that_has_another_image_afterwards_is_noticed(
    address: str, small: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push that says nothing and changes nothing is no success."""
    other = static_image(
        "docker.io/ecochain/api", "2", files={"/q": small.layout / "index.json"}, entrypoint=["/q"]
    )
    publish([other], address, ["main"])
    monkeypatch.setattr(publishing, "upload", lambda *_: None)
    with pytest.raises(EnvironmentFailedError, match=f"api:main: expected {small.digest}"):
        publish([small], address, ["main"])


def test_the_lab_is_pushed_only_what_it_lacks(address: str, small: Image) -> None:
    """An image that is there is told from one that is not; pushing it again is silent."""
    told: list[str] = []
    registry.push(address, [small], told.append)
    assert told == ["registry: pushing ecochain/api:1"]
    registry.push(address, [small], told.append)
    assert len(told) == 1


class _Closed(BaseHTTPRequestHandler):
    """A registry that asks for a login and then takes nothing."""

    seen: list[str]

    def do_GET(self) -> None:
        given = self.headers.get("Authorization")
        self.seen += [given] if given else []
        self.send_response(500 if given else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="here"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_credentials_come_from_dockers_settings_and_are_never_told(
    small: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry gets them; the error of a failed push has neither the password nor its encoding."""
    _Closed.seen = []
    login = base64.b64encode(b"robot:hush-hush").decode()
    with HTTPServer(("127.0.0.1", 0), _Closed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": login}}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        told: list[str] = []
        with pytest.raises(CommandError) as caught:
            publish([small], f"{host}/owner", ["main"], told.append)
        server.shutdown()
    assert set(_Closed.seen) == {f"Basic {login}"}
    assert not [text for text in (*told, str(caught.value)) if login in text or "hush-hush" in text]


def test_the_tags_are_those_of_the_workflows_branch_and_commit() -> None:
    """A branch's slashes become dashes, as in docker/metadata-action; the commit is short."""
    told = {"GITHUB_REF_NAME": "feature/new thing", "GITHUB_SHA": "860c1904a1ce19322e91ac35af1ab07466440c37"}
    assert default_tags(told) == ["feature-new-thing", "sha-860c190"]
    assert default_tags({})[1].startswith("sha-")


@pytest.mark.parametrize(
    ("host", "tag", "named"),
    [
        ("ghcr.io/Owner", "main", "ghcr.io/owner"),
        ("https://ghcr.io", "main", "HOST"),
        ("ghcr.io", "a b", "a b"),
    ],
)
def test_a_name_that_no_registry_takes_is_refused(small: Image, host: str, tag: str, named: str) -> None:
    """Misuse is named before anything is pushed."""
    with pytest.raises(RefusedError, match=named):
        publish([small], host, [tag])
