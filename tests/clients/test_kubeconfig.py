"""A client from a kubeconfig: what is embedded serves a real handshake, and no key ever lies on a disk."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes.config.config_exception import ConfigException

from clients.kubeconfig import new_client
from clients.kubernetes import Cluster
from core.errors import SettingsError
from lab.pki import Authority, Pair, kubeconfig

_ASKING = """
import sys
from pathlib import Path
from clients.kubernetes import Cluster
print(Cluster(Path(sys.argv[1])).get("namespaces", "there"), flush=True)
sys.stdin.read()
"""


class _Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"kind": "Namespace"}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    """Return a pair of a server on loopback, which is a client's as well."""
    return authority.sign("both", "test", hosts=["127.0.0.1"])


@pytest.fixture(scope="module")
def server(authority: Authority, pair: Pair) -> Iterator[str]:
    """Yield an API server on loopback that answers only whoever shows a certificate of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.cert)
    context.load_cert_chain(pair.cert, pair.key)
    context.verify_mode = ssl.CERT_REQUIRED
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Api) as made:
        made.socket = context.wrap_socket(made.socket, server_side=True)
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


@pytest.fixture
def config(tmp_path: Path, server: str, authority: Authority, pair: Pair) -> Path:
    """Return a kubeconfig with the certificates inside, of one context named x."""
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig(server, authority.cert, pair, context="x"))
    return path


def name_files(config: Path, authority: Authority, pair: Pair) -> None:
    """Have a kubeconfig name the files, from its own folder, instead of embedding them."""
    found = yaml.safe_load(config.read_text())
    cluster, user = found["clusters"][0]["cluster"], found["users"][0]["user"]
    for holder, name, file in (
        (cluster, "certificate-authority", authority.cert),
        (user, "client-certificate", pair.cert),
        (user, "client-key", pair.key),
    ):
        del holder[f"{name}-data"]
        holder[name] = os.path.relpath(file, config.parent)
    config.write_text(yaml.safe_dump(found))


@pytest.mark.parametrize("embedded", [True, False])
def test_a_killed_process_leaves_no_key(
    tmp_path: Path, config: Path, authority: Authority, pair: Pair, embedded: bool
) -> None:
    """It has shown its certificate to the server, and its temporary folder is empty all the time."""
    if not embedded:
        name_files(config, authority, pair)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", _ASKING, str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"{'kind': 'Namespace'}\n"
        assert list(temporary.iterdir()) == []
    finally:
        process.kill()
        process.communicate(timeout=10)
    assert list(temporary.iterdir()) == []


def test_as_often_as_it_is_read_it_is_held_once(config: Path) -> None:
    """A run makes hundreds of clients."""
    new_client(config, None)
    before = len(list(Path("/proc/self/fd").iterdir()))
    kept = [new_client(config, "x").configuration.key_file for _ in range(20)]
    assert len(set(kept)) == 1
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("content", ["]", "words", ""])
def test_what_is_no_kubeconfig_is_refused_by_name(tmp_path: Path, content: str) -> None:
    """With the file, not with a trace."""
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(SettingsError, match="kubeconfig"):
        Cluster(path)


def test_a_context_that_it_does_not_have_is_refused(config: Path) -> None:
    """By the library, whose error the cluster's client names."""
    with pytest.raises(ConfigException):
        new_client(config, "other")
    with pytest.raises(SettingsError, match="other"):
        Cluster(config, "other")
