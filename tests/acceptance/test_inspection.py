"""Inspection of containers and nodes: what is right passes, and each defect fails exactly its own check."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import testinfra

from core.errors import InconclusiveError
from fixtures.acceptance import inspection, look_within, nodes, policy
from fixtures.acceptance.inspection import KeyFile, Process, Sight

PROCESS = Process(
    pid=1,
    name="python3.11",
    users=(10001,),
    groups=(10001,),
    capabilities=0,
    no_new_privileges=True,
    variables={
        "PORT": None,
        "JWT_KEYS_FILE": None,
        "TOKEN_TTL_S": None,
        "MONGODB_URI": None,
        "REDIS_URL": "a password in a URL",
    },
)
GOOD = Sight(
    processes=(PROCESS,),
    listening=(3000, 9090),
    writing={"/": "EROFS", "/dev/shm": "written", "/tmp": "written", "/etc/ecochain/jwt": "EROFS"},
    loose=(),
    keys=(KeyFile(path="/etc/ecochain/jwt/..data/keys.json", mode=0o440),),
)
Checks = Mapping[str, Callable[[Sight], list[str]]]
CHECKS: Checks = {
    "identities": inspection.identities,
    "ports": lambda sight: inspection.undeclared_ports(sight, {3000, 9090}),
    "read-only": lambda sight: inspection.writable_places(sight, {"/tmp"}),
    "files": lambda sight: list(sight.loose),
    "secrets": lambda sight: inspection.foreign_secrets(sight, "auth-service", {"MONGODB_URI"}),
    "keys": lambda sight: inspection.misplaced_keys(sight, "auth-service"),
}


def with_process(**changes: object) -> Sight:
    return GOOD.model_copy(update={"processes": (PROCESS, PROCESS.model_copy(update=changes))})


def with_variable(name: str, kind: str | None = None) -> Sight:
    return with_process(variables={name: kind})


DEFECTS: list[tuple[str, str, Sight]] = [
    ("root", "identities", with_process(users=(0,))),
    ("root-at-heart", "identities", with_process(users=(0, 10001))),
    ("group-of-root", "identities", with_process(groups=(0,))),
    ("capability", "identities", with_process(capabilities=0x400)),
    ("privileges", "identities", with_process(no_new_privileges=False)),
    ("another-port", "ports", GOOD.model_copy(update={"listening": (3000, 5678, 9090)})),
    ("silent-port", "ports", GOOD.model_copy(update={"listening": (3000,)})),
    ("writable-root", "read-only", GOOD.model_copy(update={"writing": {"/": "written"}})),
    ("root-merely-forbidden", "read-only", GOOD.model_copy(update={"writing": {"/": "EACCES"}})),
    ("root-not-tried", "read-only", GOOD.model_copy(update={"writing": {}})),
    ("writable-mount", "read-only", GOOD.model_copy(update={"writing": {"/": "EROFS", "/var": "written"}})),
    ("world-writable", "files", GOOD.model_copy(update={"loose": ("/dev/shm/x 0666",)})),
    ("password-by-name", "secrets", with_variable("ADMIN_PASSWORD")),
    ("secret-of-today", "secrets", with_variable("JWT_SECRET")),
    ("key-in-environment", "secrets", with_variable("MONGODB_URI", "a private key")),
    ("token-by-looks", "secrets", with_variable("GREETING", "a token")),
    ("aws-key", "secrets", with_variable("AWS_SECRET_ACCESS_KEY")),
    (
        "key-readable-by-all",
        "keys",
        GOOD.model_copy(update={"keys": (KeyFile(path="/etc/ecochain/jwt/k", mode=0o444),)}),
    ),
    (
        "key-writable-by-group",
        "keys",
        GOOD.model_copy(update={"keys": (KeyFile(path="/etc/ecochain/jwt/k", mode=0o460),)}),
    ),
    (
        "key-in-the-image",
        "keys",
        GOOD.model_copy(update={"keys": (*GOOD.keys, KeyFile(path="/app/k.pem", mode=0o400))}),
    ),
    ("no-key", "keys", GOOD.model_copy(update={"keys": ()})),
]


def test_what_is_right_passes_every_check() -> None:
    """Nothing is wrong with it."""
    assert {name: check(GOOD) for name, check in CHECKS.items()} == {name: [] for name in CHECKS}


@pytest.mark.parametrize(("check", "sight"), [d[1:] for d in DEFECTS], ids=[d[0] for d in DEFECTS])
def test_a_defect_fails_exactly_its_own_check(check: str, sight: Sight) -> None:
    """The others have nothing to say against it."""
    assert [name for name, judge in CHECKS.items() if judge(sight)] == [check]


@pytest.mark.parametrize("service", ["vision-service", "api"])
def test_who_has_no_store_may_not_know_its_address(service: str) -> None:
    """A password in it or not."""
    wrong = inspection.foreign_secrets(GOOD, service, {"MONGODB_URI"})
    assert [line.partition(": ")[2] for line in wrong] == [
        "MONGODB_URI: a value from a Secret",
        "REDIS_URL: a password in a URL",
    ]


def test_only_the_key_holder_has_a_signing_key() -> None:
    """In every other service it is misplaced."""
    assert inspection.misplaced_keys(GOOD, "api") == [f"{GOOD.keys[0].path} 0440 holds a private key"]


def test_an_environment_that_cannot_be_read_is_inconclusive() -> None:
    """It is not taken for one without secrets."""
    with pytest.raises(InconclusiveError, match="cannot be read"):
        inspection.foreign_secrets(with_process(variables=None), "auth-service", set())


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"-----BEGIN EC PRIVATE KEY-----", "a private key"),
        (b"redis://:pa55@redis:6379/0", "a password in a URL"),
        (b"mongodb+srv://app:pa55@atlas/db", "a password in a URL"),
        (b"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2ln", "a token"),
        (b"AKIAIOSFODNN7EXAMPLE", "an access key"),
        (b"mongodb://mongodb:27017/ecochain", None),
        (b"http://auth-service:3000", None),
        (b"/etc/ecochain/jwt/keys.json", None),
    ],
)
def test_a_secret_is_known_by_its_looks(value: bytes, kind: str | None) -> None:
    """Only the kind is told, never the value."""
    assert look_within.kind(value) == kind


def test_a_process_that_has_ended_is_not_asked_for_its_environment() -> None:
    """One that nobody has waited for is still listed, and has none any more."""
    ended = subprocess.Popen(["true"])
    try:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{ended.pid}/status").exists()
        assert ended.pid not in {each["pid"] for each in look_within.processes()}
    finally:
        ended.wait()


def test_a_listening_port_is_seen() -> None:
    """On loopback too, and no longer once it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port in look_within.listening()
    assert port not in look_within.listening()


def test_writing_is_tried_and_undone(tmp_path: Path) -> None:
    """A folder is as it was; the name of the error is told where it fails."""
    assert look_within.writing(str(tmp_path)) == "written"
    assert list(tmp_path.iterdir()) == []
    assert look_within.writing(str(tmp_path / "gone" / "file")) == "ENOENT"


def test_loose_modes_and_keys_are_found(tmp_path: Path) -> None:
    """Files writable by all, set-uid, set-gid, folders without the sticky bit, and keys by their content."""
    modes = {"open": 0o646, "setuid": 0o4755, "setgid": 0o2755, "good": 0o644}
    for name, mode in modes.items():
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
    for name, mode in {"shared": 0o1777, "loose": 0o777}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    key = tmp_path / "shared" / "tls.key"
    key.write_text("-----BEGIN PRIVATE KEY-----")
    key.chmod(0o600)
    loose, keys = look_within.files({str(tmp_path): "ext4"})
    assert {Path(line.split()[0]).name for line in loose} == {"open", "setuid", "setgid", "loose"}
    assert keys == [{"path": str(key), "mode": 0o600}]


KUBELET: dict[str, Any] = {
    "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}},
    "authorization": {"mode": "Webhook"},
}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({}, None),
        ({"readOnlyPort": 10255}, "readOnlyPort"),
        ({"authorization": {"mode": "AlwaysAllow"}}, "authorization.mode"),
        (
            {"authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": True}}},
            "authentication.anonymous.enabled",
        ),
        (
            {"authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}}},
            "authentication.webhook.enabled",
        ),
    ],
)
def test_a_kubelet_that_trusts_too_much_is_named(change: dict[str, Any], key: str | None) -> None:
    """Exactly what is wrong is told."""
    wrong = nodes.too_trusting({**KUBELET, **change})
    assert [line.partition(":")[0] for line in wrong] == ([key] if key else [])


USUAL_KEY = "/var/lib/kubelet/pki/kubelet-server-current.pem"
EKS = "/usr/bin/kubelet --config /etc/kubernetes/kubelet/config.json --kubeconfig /var/lib/kubelet/kubeconfig"
LAB = "kubelet --config=/n/kubelet.json --kubeconfig=/n/kubelet.kubeconfig --cert-dir=/n/pki --v=2"


def user(**keys: object) -> dict[str, Any]:
    return {"users": [{"name": "node", "user": keys}]}


@pytest.mark.parametrize(
    ("line", "kubeconfig", "config", "private"),
    [
        (
            EKS,
            user(exec={}),
            {"serverTLSBootstrap": True},
            {USUAL_KEY},
        ),
        (LAB, user(exec={}), {}, {"/n/pki/kubelet-server-current.pem"}),
        (
            LAB,
            user(**{"client-key-data": "x"}),
            {"tlsPrivateKeyFile": "/n/serving.key"},
            {"/n/serving.key", "/n/kubelet.kubeconfig"},
        ),
        (LAB, user(**{"client-key": "/n/own.key"}), {}, {"/n/own.key", "/n/pki/kubelet-server-current.pem"}),
        (LAB, user(token="x"), {}, {"/n/kubelet.kubeconfig", "/n/pki/kubelet-server-current.pem"}),
    ],
)
def test_a_kubelets_keys_lie_where_its_command_line_says(
    line: str, kubeconfig: dict[str, Any], config: dict[str, Any], private: set[str]
) -> None:
    """With flags of either form; a kubeconfig that only names a command, as on EKS, is no key."""
    given = nodes.flags(line)
    found = nodes.files_of(given, kubeconfig, config)
    assert found.private == private
    assert found.settings == {given["config"], given["kubeconfig"]}


@pytest.mark.parametrize(
    ("text", "mode", "named"),
    [
        ("-----BEGIN PRIVATE KEY-----\n", 0o644, True),
        ("-----BEGIN EC PRIVATE KEY-----\n", 0o640, True),
        ("-----BEGIN PRIVATE KEY-----\n", 0o600, False),
        ("-----BEGIN CERTIFICATE-----\n", 0o644, False),
        ("users:\n- user:\n    client-key-data: TFM=\n", 0o604, True),
        ('{"user": {\n  "token": "abc"\n}}', 0o644, True),
        ("tokenFile: /run/token\n", 0o644, False),
    ],
)
def test_a_key_that_others_may_read_is_found(tmp_path: Path, text: str, mode: int, named: bool) -> None:
    """By what is in the file and not by its name, in a folder as deep as a certificate's usual one."""
    file = tmp_path / "pki" / "a file.txt"
    file.parent.mkdir()
    file.write_text(text)
    file.chmod(mode)
    host = testinfra.get_host("local://")
    found = nodes.readable_keys_in(host, [str(tmp_path), str(tmp_path / "absent")])
    assert found == ([str(file)] if named else [])


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def pod(service: str, on: str, owner: str = "ReplicaSet", phase: str = "Running") -> dict[str, Any]:
    labels = {"app.kubernetes.io/instance": service}
    meta = {"namespace": "ecochain", "name": service, "labels": labels, "ownerReferences": [{"kind": owner}]}
    return {"metadata": meta, "spec": {"nodeName": on}, "status": {"phase": phase}}


NODES = [node("node1"), node("node3", workload="ai")]


@pytest.mark.parametrize(
    ("pods", "wrong"),
    [
        ([pod("vision-service", "node3"), pod("api", "node1"), pod("proxy", "node3", "DaemonSet")], []),
        ([pod("job", "node3", phase="Succeeded")], []),
        ([pod("vision-service", "node1")], ["ecochain/vision-service is on node1"]),
        ([pod("api", "node3")], ["ecochain/api is on node3"]),
    ],
)
def test_who_is_on_the_wrong_node_is_named(pods: list[dict[str, Any]], wrong: list[str]) -> None:
    """Vision elsewhere, and anything but a daemon beside it."""
    assert nodes.misplaced_for_ai(NODES, pods) == wrong


def test_without_an_ai_node_nothing_is_right() -> None:
    """There must be one."""
    assert nodes.misplaced_for_ai(NODES[:1], []) == ["no node is labelled workload=ai"]


def test_a_forbidden_connection_that_comes_through_fails() -> None:
    """Where policies are enforced; refused, it passes."""
    policy.conclude(opened=True, closed=False, enforced=True)
    with pytest.raises(AssertionError, match="which no policy allows"):
        policy.conclude(opened=True, closed=True, enforced=True)


@pytest.mark.parametrize(
    ("opened", "closed", "enforced"),
    [(False, False, True), (False, True, True), (True, True, False), (True, False, False)],
)
def test_a_policy_that_is_not_enforced_or_not_tried_is_inconclusive(
    opened: bool, closed: bool, enforced: bool
) -> None:
    """A refusal says nothing where the allowed way is closed too, or nothing enforces a policy."""
    with pytest.raises(InconclusiveError):
        policy.conclude(opened=opened, closed=closed, enforced=enforced)
