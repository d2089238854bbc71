"""The acceptance suites look into the cluster: each defect turns exactly its test red."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sabotage import Copy, Ended, LabInUse

from clients.kubernetes import Cluster, Json
from core.places import checkout
from core.processes import ProcessId
from fixtures.acceptance.replicas import ready_of
from fixtures.acceptance.stage import stage_of
from fixtures.environment import Environment
from fixtures.making import EnvironmentOwner
from fixtures.provision_choice import Choice
from fixtures.settings import load_settings
from lab.cluster import find
from reports.runs import RunStore

SERVICES = ("auth-service", "user-service")
TOPICS = ("released", "containers", "nodes")
PYTHON = "/usr/bin/python3.11"
# Starts a process that outlives the command: what it does, and its variables.
START = """
import os, subprocess, sys
quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
print(subprocess.Popen([sys.executable, "-c", {!r}], env={}, start_new_session=True, **quiet).pid)
"""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A deployed environment that the command under test did not make."""

    copy: Copy
    environment: Environment
    lab: str

    @property
    def cluster(self) -> Cluster:
        return self.environment.cluster()

    def verify(self, *arguments: str, release: Path | None = None) -> Ended:
        """Run the acceptance suites that need no front door of the whole platform."""
        folders = [f"suites/acceptance/{topic}" for topic in TOPICS]
        # The lab of these tests has no vision-service.
        chosen = ["-k", "not vision", f"--release={release or self.environment.run.path / 'release.json'}"]
        url = f"--url={self.environment.url('auth-service')}"
        return self.copy.run("-m", "pytest", *folders, "--env=lab", url, *chosen, *arguments)

    def red(self, ended: Ended) -> set[str]:
        """Return the tests that failed, in short."""
        document = json.loads((ended.run.path / "verdicts.json").read_text())
        judged = document["verdicts"]
        assert {one["subject"] for one in judged} == set(TOPICS), ended.output
        assert not any(one["evidence"]["inconclusive"] for one in judged), ended.output
        return {name.rpartition("::")[2] for one in judged for name in one["evidence"]["failed"]}

    def pod(self, service: str) -> Json:
        return ready_of(self.cluster, stage_of(self.environment), service)[0].pod

    def within(self, service: str, code: str) -> str:
        """Run Python in a replica of a service and return what it prints."""
        pod = self.pod(service)
        command = [PYTHON, "-c", code]
        name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]
        ran = self.cluster.run(name, self.environment.namespace, command, container=container)
        assert ran.ok, ran.error
        return ran.stdout.strip()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, test_lab: LabInUse) -> Iterator[Deployed]:
    """Deploy two services and their stores for the tests of this module."""
    copy = Copy.make(tmp_path_factory.mktemp("stage") / "copy", test_lab.name, services=SERVICES)
    shutil.copytree(checkout() / "suites/acceptance", copy.folder / "suites/acceptance", dirs_exist_ok=True)
    copy.setting("probes", inside=False)
    settings = load_settings("lab", copy.folder / "environments", base=checkout())
    run = RunStore(copy.folder / "reports" / "runs").create("lab", [], 1)
    this = ProcessId.of(os.getpid())
    assert this is not None
    owner = EnvironmentOwner(settings, run, this, lambda _: None, Choice())
    try:
        yield Deployed(copy=copy, environment=owner.make(), lab=test_lab.name)
    finally:
        owner.close()


def objects(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Return what is in the namespace, and in which version: what a change would change."""
    kinds = ("deployments", "statefulsets", "services", "secrets", "configmaps", "serviceaccounts", "pods")
    found = {
        f"{kind}/{each['metadata']['name']}": str(each["metadata"]["resourceVersion"])
        for kind in kinds
        for each in cluster.list(kind, namespace)
    }
    return found | {f"leases/{each['metadata']['name']}": "" for each in cluster.list("leases", namespace)}


def test_what_is_as_released_passes_and_is_left_as_it_was(deployed: Deployed) -> None:
    """Four workers verify it; nothing is made, changed or removed, and no lease is taken."""
    before = objects(deployed.cluster, deployed.environment.namespace)
    ended = deployed.verify("-n", "4")
    assert deployed.red(ended) == set(), ended.output
    assert ended.status == 0, ended.output
    assert "nothing is made" in ended.output
    assert objects(deployed.cluster, deployed.environment.namespace) == before


def test_where_no_policy_is_enforced_its_check_is_inconclusive(deployed: Deployed) -> None:
    """Asked for by name it runs, and does not pass; here it lacks the services that it would try."""
    url = f"--url={deployed.environment.url('auth-service')}"
    ended = deployed.copy.run("-m", "pytest", "suites/acceptance/network", "--env=lab", url)
    assert ended.outcomes("acceptance") == {"acceptance": "INCONCLUSIVE"}, ended.output


@contextmanager
def told_otherwise(deployed: Deployed, **changes: object) -> Iterator[Path]:
    """Give a release file that says something else of auth-service."""
    document = json.loads((deployed.environment.run.path / "release.json").read_text())
    document["services"]["auth-service"] |= changes
    file = deployed.copy.folder / "told-otherwise.json"
    file.write_text(json.dumps(document))
    yield file


@contextmanager
def another_version(deployed: Deployed) -> Iterator[Path]:
    with told_otherwise(deployed, version="9.9.9") as file:
        yield file


@contextmanager
def another_count(deployed: Deployed) -> Iterator[Path]:
    with told_otherwise(deployed, replicas=3) as file:
        yield file


@contextmanager
def extra_pod(deployed: Deployed, labels: dict[str, str]) -> Iterator[None]:
    """Let a pod of user-service's image stand there, never ready."""
    container: Json = {
        "name": "stray",
        "image": deployed.environment.images["user-service"]["current"],
        "command": [PYTHON, "-c", "import time; time.sleep(600)"],
        "readinessProbe": {"exec": {"command": ["/nowhere"]}},
    }
    namespace = deployed.environment.namespace
    meta = {"name": "stray", "namespace": namespace, "labels": labels}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    deployed.cluster.create("pods", {"metadata": meta, "spec": spec})
    try:
        yield
    finally:
        deployed.cluster.delete("pods", "stray", namespace, grace_s=0)


@contextmanager
def pod_of_another_image(deployed: Deployed) -> Iterator[None]:
    with extra_pod(deployed, {"app.kubernetes.io/instance": "auth-service"}):
        yield


@contextmanager
def pod_of_nobody(deployed: Deployed) -> Iterator[None]:
    with extra_pod(deployed, {"app": "miner"}):
        yield


@contextmanager
def process(deployed: Deployed, code: str, variables: str = "dict(os.environ)") -> Iterator[None]:
    """Let one more process run in a replica of auth-service."""
    pid = deployed.within("auth-service", START.format(code, variables))
    try:
        yield
    finally:
        deployed.within("auth-service", f"import os; os.kill({pid}, 9)")


@contextmanager
def another_port(deployed: Deployed) -> Iterator[None]:
    code = "import socket, time; s = socket.create_server(('', 5678)); time.sleep(600)"
    with process(deployed, code):
        yield


@contextmanager
def secret_in_the_environment(deployed: Deployed) -> Iterator[None]:
    with process(deployed, "import time; time.sleep(600)", "{'ADMIN_PASSWORD': 'x'}"):
        yield


@contextmanager
def file_within(deployed: Deployed, service: str, name: str, text: str, mode: int) -> Iterator[None]:
    """Let a file lie in a replica, at the one place where its root is not read-only."""
    path = f"/dev/shm/{name}"
    code = f"import os; open({path!r}, 'w').write({text!r}); os.chmod({path!r}, {mode})"
    pod = deployed.pod(service)["metadata"]["name"]
    deployed.within(service, code)
    try:
        yield
    finally:
        assert deployed.pod(service)["metadata"]["name"] == pod
        deployed.within(service, f"import os; os.unlink({path!r})")


@contextmanager
def file_open_to_all(deployed: Deployed) -> Iterator[None]:
    with file_within(deployed, "user-service", "loose", "x", 0o666):
        yield


@contextmanager
def key_elsewhere(deployed: Deployed) -> Iterator[None]:
    with file_within(deployed, "user-service", "tls.key", "-----BEGIN PRIVATE KEY-----", 0o400):
        yield


@contextmanager
def kubelets_key_open(deployed: Deployed) -> Iterator[None]:
    lab = find(deployed.lab)
    assert lab is not None
    file = lab.plan.workers[0].folder / "kubelet.kubeconfig"
    mode = file.stat().st_mode
    file.chmod(0o644)
    try:
        yield
    finally:
        file.chmod(mode)


SABOTAGE: dict[Callable[[Deployed], Any], set[str]] = {
    another_version: {
        "test_every_replica_says_what_was_released[auth-service]",
        "test_every_replica_is_healthy[auth-service]",
    },
    another_count: {"test_as_many_replicas_as_released_are_ready[auth-service]"},
    pod_of_another_image: {"test_every_replica_runs_the_released_digest[auth-service]"},
    pod_of_nobody: {"test_nothing_runs_that_was_not_released"},
    another_port: {"test_exactly_the_declared_ports_listen[auth-service]"},
    secret_in_the_environment: {"test_no_process_knows_a_secret_that_is_not_its_own[auth-service]"},
    file_open_to_all: {"test_no_file_is_open_to_all_or_changes_the_user[user-service]"},
    key_elsewhere: {"test_signing_keys_lie_with_auth_service_alone[user-service]"},
    kubelets_key_open: {"test_the_kubelets_keys_are_roots_alone"},
}


# One of each topic; the others take eight seconds each.
ALWAYS = (pod_of_another_image, secret_in_the_environment, kubelets_key_open)


@pytest.mark.parametrize(
    ("defect", "red"),
    [
        pytest.param(*each, id=each[0].__name__, marks=() if each[0] in ALWAYS else pytest.mark.long)
        for each in SABOTAGE.items()
    ],
)
def test_a_defect_turns_exactly_its_test_red(
    deployed: Deployed, defect: Callable[[Deployed], Any], red: set[str]
) -> None:
    """And the topic's verdict is FAIL."""
    with defect(deployed) as release:
        ended = deployed.verify(release=release)
    assert deployed.red(ended) == red, ended.output
    assert ended.status == 1, ended.output
