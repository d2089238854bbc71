"""The data stores in the cluster: what they keep survives their pods, and losing one has its known effect."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sabotage import Copy, LabInUse

from clients.atlas import ApiKey, Atlas
from clients.kubernetes import ApiError, Cluster, pod_ready
from core.errors import EnvironmentFailedError
from core.places import checkout
from core.processes import ProcessId
from core.waiting import wait_until
from fixtures.environment import Environment
from fixtures.making import EnvironmentOwner
from fixtures.provision_choice import Choice
from fixtures.releasing import release
from fixtures.settings import load_settings
from reports.runs import RunStore

sys.path.append(str(checkout() / "tests/clients"))

from atlas_double import PRIVATE, PROJECT, PUBLIC, AtlasDouble

SERVICE = "auth-service"
PASSWORD = "a-password-of-this-test"
BACK_S = 60


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, test_lab: LabInUse) -> Iterator[Environment]:
    """Give auth-service and both stores, deployed as the rehearsal does it."""
    folder = tmp_path_factory.mktemp("stores")
    copy = Copy.make(folder / "copy", test_lab.name)
    copy.setting("probes", inside=False)
    settings = load_settings("lab", copy.folder / "environments")
    this = ProcessId.of(os.getpid())
    assert this is not None
    run = RunStore(folder / "reports").create("lab", [], 7)
    owner = EnvironmentOwner(settings, run, this, print, Choice())
    try:
        yield owner.make()
    finally:
        owner.close()


@pytest.fixture
def url(deployed: Environment) -> str:
    """Return where the service is, each replica of which must serve before each test."""
    wait_until("it to be ready", lambda: all_ready(deployed), BACK_S, interval_s=0.3)
    return deployed.url(SERVICE)


def all_ready(deployed: Environment) -> bool:
    """Tell whether each replica is ready, and kube-proxy has heard of it."""
    routed = answers(f"{deployed.url(SERVICE)}/ready") == 200
    return routed and set(of_each_pod(deployed, "ready")) == {200}


def answers(url: str) -> int:
    """Return the status of an answer, 0 for none."""
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return 0


def register(url: str) -> dict[str, str]:
    """Make an account, and return what it logs in with.

    A replica whose connections the last test broke finds that out by its first request, which fails.
    """
    account = {"email": f"{uuid4().hex}@example.test", "password": PASSWORD}

    def made() -> bool:
        return httpx.post(f"{url}/auth/register", json=account, timeout=10).status_code in (201, 409)

    wait_until("an account to be made", made, 20, interval_s=0.3)
    return account


def log_in(url: str, account: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{url}/auth/login", json=account, timeout=10)


def store_pods(deployed: Environment, store: str) -> list[dict[str, Any]]:
    labels = f"app.kubernetes.io/component={store}"
    return deployed.cluster().list("pods", deployed.namespace, labels=labels)


def replace_pod(deployed: Environment, store: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Delete a store's pod without grace, as a node's loss would, and wait for another one."""
    (pod,) = store_pods(deployed, store)
    deployed.cluster().delete("pods", pod["metadata"]["name"], deployed.namespace, grace_s=0)
    meanwhile()

    def another() -> bool:
        pods = store_pods(deployed, store)
        return any(p["metadata"]["uid"] != pod["metadata"]["uid"] and pod_ready(p) for p in pods)

    wait_until(f"another pod of {store}", another, BACK_S, interval_s=0.2)


@contextmanager
def lost(deployed: Environment, stateful_set: str, store: str) -> Iterator[None]:
    """Take a store away, and give it back at the end."""

    def scale(replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{deployed.namespace}/statefulsets/{stateful_set}/scale"
        merge = "application/merge-patch+json"
        body = {"spec": {"replicas": replicas}}
        deployed.cluster().request("PATCH", path, body=body, content_type=merge)

    scale(0)
    try:
        wait_until(f"{store} to be gone", lambda: not store_pods(deployed, store), BACK_S)
        yield
    finally:
        scale(1)
        wait_until(f"{store} to be back", lambda: any(map(pod_ready, store_pods(deployed, store))), BACK_S)


def of_each_pod(deployed: Environment, path: str) -> list[int]:
    """Return what each pod of the service itself answers, in the Service's endpoints or not."""
    cluster: Cluster = deployed.cluster()
    found = []
    for pod in cluster.list("pods", deployed.namespace, labels=f"app.kubernetes.io/name={SERVICE}"):
        try:
            cluster.proxy(pod["metadata"]["name"], deployed.namespace, 3000, path)
            found.append(200)
        except ApiError as error:
            found.append(error.status)
    return found


def test_accounts_survive_the_death_of_the_database(deployed: Environment, url: str) -> None:
    """A pod of the store dies without grace; its successor has the data on the same volume."""
    account = register(url)
    replace_pod(deployed, "mongodb")
    wait_until("a login", lambda: log_in(url, account).status_code == 200, BACK_S, interval_s=0.3)


def test_sessions_survive_the_death_of_the_session_store(deployed: Environment, url: str) -> None:
    """A refresh token given before is good afterwards."""
    given = log_in(url, register(url)).json()
    assert given["refresh_token"]
    replace_pod(deployed, "redis")
    wait_until("the store's use", lambda: redis_state(url) == "ok", BACK_S, interval_s=0.3)
    again = httpx.post(f"{url}/auth/refresh", json={"refresh_token": given["refresh_token"]}, timeout=10)
    assert again.status_code == 200, again.text


def redis_state(url: str) -> str:
    return str(httpx.get(f"{url}/ready", timeout=5).json()["dependencies"]["redis"])


def test_losing_redis_degrades(deployed: Environment, url: str) -> None:
    """The service stays ready and says so, logs in without a session, and recovers by itself."""
    account = register(url)
    with lost(deployed, "valkey", "redis"):
        wait_until("degradation", lambda: redis_state(url) == "degraded", 20, interval_s=0.3)
        assert answers(f"{url}/ready") == 200
        given = log_in(url, account)
        assert given.status_code == 200
        assert given.json()["refresh_token"] is None
        assert "redis" in given.headers["x-degraded"]
    wait_until("the end of it", lambda: redis_state(url) == "ok", BACK_S, interval_s=0.3)
    assert log_in(url, account).json()["refresh_token"]


@pytest.mark.usefixtures("url")
def test_losing_mongodb_makes_it_unready_and_not_dead(deployed: Environment) -> None:
    """/ready fails on every pod, /health does not, no container is restarted, and it comes back by itself."""
    with lost(deployed, "ferretdb", "mongodb"):
        wait_until(
            "no pod to be ready",
            lambda: set(of_each_pod(deployed, "ready")) == {503},
            30,
            interval_s=0.3,
            last=lambda: of_each_pod(deployed, "ready"),
        )
        assert set(of_each_pod(deployed, "health")) == {200}
    wait_until("it to be ready", lambda: all_ready(deployed), BACK_S, interval_s=0.3)
    pods = deployed.cluster().list("pods", deployed.namespace, labels=f"app.kubernetes.io/name={SERVICE}")
    assert [status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]] == [0, 0]


def test_a_missing_image_replaces_nothing(deployed: Environment) -> None:
    """It is asked for at the registry first; Helm is not called, and what serves goes on serving."""
    missing = f"docker.io/ecochain/{SERVICE}@sha256:{'0' * 64}"
    wrong = replace(deployed, images={SERVICE: {"upgrade": missing}})
    before = deployed.helm().history(SERVICE, namespace=deployed.namespace)
    with pytest.raises(EnvironmentFailedError, match="nothing was replaced") as caught:
        release(wrong, SERVICE, "upgrade", timeout_s=20, settle_timeout_s=20)
    assert missing in str(caught.value)
    assert deployed.helm().history(SERVICE, namespace=deployed.namespace) == before


def test_without_its_volume_the_database_forgets(deployed: Environment, url: str) -> None:
    """The same death, and the volume's files gone: the account is unknown, so the test above can fail."""
    account = register(url)
    (pod,) = store_pods(deployed, "mongodb")
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    path = f"/api/v1/namespaces/{deployed.namespace}/persistentvolumeclaims"
    with lost(deployed, "ferretdb", "mongodb"):
        for claim in claims:
            deployed.cluster().request("DELETE", f"{path}/{claim}")
    assert claims
    wait_until("it to be ready", lambda: all_ready(deployed), BACK_S, interval_s=0.3)
    assert log_in(url, account).status_code == 401


@dataclass(frozen=True, kw_only=True)
class LabDatabase:
    """The lab's FerretDB as the one cluster of a double of Atlas: its files are those of its volume."""

    deployed: Environment

    def folder(self, cluster: str) -> Path:  # noqa: ARG002 - there is one
        """Return the volume's folder."""
        api = self.deployed.cluster()
        claims = api.request("GET", f"/api/v1/namespaces/{self.deployed.namespace}/persistentvolumeclaims")
        (claim,) = [one for one in claims["items"] if "ferretdb" in one["metadata"]["name"]]
        volume = api.request("GET", f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")["spec"]
        return Path((volume.get("hostPath") or volume.get("local"))["path"])

    @contextmanager
    def stopped(self, cluster: str) -> Iterator[None]:  # noqa: ARG002 - there is one
        """Take the database away meanwhile, and give it back."""
        with lost(self.deployed, "ferretdb", "mongodb"):
            yield

    def make(self, cluster: str) -> None:
        """Make nothing: it is there."""

    def drop(self, cluster: str) -> None:
        """Drop nothing: it goes with the environment."""


def mentions(folder: Path, text: str) -> bool:
    """Tell whether a text stands in any table of the databases in a folder."""
    for file in folder.rglob("*.sqlite"):
        with closing(sqlite3.connect(file)) as held:
            if any(text in line for line in held.iterdump()):
                return True
    return False


@pytest.mark.long
def test_a_snapshot_of_the_database_brings_back_what_was_there(
    deployed: Environment, url: str, tmp_path: Path
) -> None:
    """Taken while it runs, read by itself, restored: the older account is there, the newer one is not."""
    before = register(url)
    double = AtlasDouble(tmp_path, store=LabDatabase(deployed=deployed))
    key = ApiKey(public_key=PUBLIC, private_key=PRIVATE)
    with (
        double.running() as address,
        Atlas(project_id=PROJECT, credentials=key, base_url=address, timeout_s=120) as api,
    ):
        api.create_cluster({"name": "lab", "clusterType": "REPLICASET"})
        api.wait_idle("lab", 10, interval_s=0.05)
        snapshot = api.take_snapshot("lab", description="before the loss", retention_days=1)["id"]
        api.wait_snapshot("lab", snapshot, 10, interval_s=0.05)
        after = register(url)
        assert log_in(url, after).status_code == 200
        job = api.restore("lab", snapshot, target_cluster="lab")["id"]
        api.wait_restored("lab", job, 10, interval_s=0.05)
    wait_until("it to be ready", lambda: all_ready(deployed), BACK_S, interval_s=0.3)
    saved = double.saved_data(snapshot)
    assert (mentions(saved, before["email"]), mentions(saved, after["email"])) == (True, False)
    assert log_in(url, before).status_code == 200
    assert log_in(url, after).status_code == 401
