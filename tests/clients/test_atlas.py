"""Atlas is asked with care: authorized, repeated only where nothing can be done twice, waited for."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from atlas_double import CLIENT, PRIVATE, PROJECT, PUBLIC, SECRET, AtlasDouble, RefusalError

from clients.atlas import ApiKey, Atlas, AtlasError, ServiceAccount
from core.errors import EnvironmentFailedError, RefusedError, WaitTimeoutError

KEY = ApiKey(public_key=PUBLIC, private_key=PRIVATE)
ACCOUNT = ServiceAccount(client_id=CLIENT, client_secret=SECRET)
CLUSTER = {"name": "eco", "clusterType": "REPLICASET", "backupEnabled": True}


@pytest.fixture
def double(tmp_path: Path) -> AtlasDouble:
    """Give a double that is not served yet."""
    return AtlasDouble(tmp_path)


@pytest.fixture
def url(double: AtlasDouble) -> Iterator[str]:
    """Give its address while it is served."""
    with double.running() as address:
        yield address


def atlas(url: str, credentials: ApiKey | ServiceAccount = KEY, pauses: list[float] | None = None) -> Atlas:
    kept = pauses if pauses is not None else []
    return Atlas(project_id=PROJECT, credentials=credentials, base_url=url, sleep=kept.append)


def rows(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "orders.sqlite") as store:
        return [row[0] for row in store.execute("select name from orders order by name")]


def put(folder: Path, name: str) -> None:
    with sqlite3.connect(folder / "orders.sqlite") as store:
        store.execute("create table if not exists orders (name text)")
        store.execute("insert into orders values (?)", (name,))


def in_turn(*answers: RefusalError | None) -> Callable[[str], None]:
    """Return a mood that gives each answer once, None for a good one, and is good afterwards."""
    left = list(answers)

    def mood(_request: str) -> None:
        answer = left.pop(0) if left else None
        if answer is not None:
            raise answer

    return mood


@pytest.mark.parametrize("credentials", [KEY, ACCOUNT], ids=["digest", "service account"])
def test_a_snapshot_is_taken_and_brings_back_what_was_there(
    url: str, double: AtlasDouble, credentials: ApiKey | ServiceAccount
) -> None:
    """Made, waited for, scheduled, saved, damaged, restored, deleted: with a key or a service account."""
    with atlas(url, credentials) as api:
        assert api.cluster("eco") is None
        assert api.create_cluster(CLUSTER)["stateName"] == "CREATING"
        assert api.wait_idle("eco", 10)["stateName"] == "IDLE"
        changed = api.set_backup_schedule("eco", {"restoreWindowDays": 3})
        assert changed == api.backup_schedule("eco")
        assert changed["restoreWindowDays"] == 3
        put(double.data("eco"), "first")
        queued = api.take_snapshot("eco", description="before the fault", retention_days=1)
        assert queued["status"] == "queued"
        assert api.wait_snapshot("eco", queued["id"], 10)["status"] == "completed"
        put(double.data("eco"), "second")
        assert rows(double.data("eco")) == ["first", "second"]
        job = api.restore("eco", queued["id"], target_cluster="eco")
        assert api.wait_restored("eco", job["id"], 10)["finishedAt"]
        assert rows(double.data("eco")) == ["first"]
        assert api.delete_cluster("eco")
        api.wait_gone("eco", 10)
        assert not api.delete_cluster("eco")
        assert api.clusters() == []


def test_a_peering_is_made_listed_and_removed(url: str) -> None:
    """It waits for the VPC's side; removing what is not there is told and is no error."""
    with atlas(url) as api:
        given = {
            "account": "000000000000",
            "region": "us-east-1",
            "vpc_id": "vpc-0a1b",
            "vpc_cidr": "10.0.0.0/16",
        }
        made = api.create_peering(container_id="c" * 24, **given)
        assert made["statusName"] == "PENDING_ACCEPTANCE"
        assert [one["vpcId"] for one in api.peerings()] == ["vpc-0a1b"]
        assert api.delete_peering(made["id"])
        assert not api.delete_peering(made["id"])


def test_every_page_of_a_listing_is_read(url: str, double: AtlasDouble) -> None:
    """The double gives two entries a page; all are returned."""
    with atlas(url) as api:
        for number in range(5):
            api.create_cluster({**CLUSTER, "name": f"eco-{number}"})
        assert [one["name"] for one in api.clusters()] == [f"eco-{number}" for number in range(5)]
    assert double.asked.count(f"GET /api/atlas/v2/groups/{PROJECT}/clusters") == 3


def test_wrong_credentials_are_refused_in_one_line(url: str) -> None:
    """Neither a wrong key nor a wrong secret is tried again, and neither is shown."""
    key, account = (
        ApiKey(public_key=PUBLIC, private_key="x"),
        ServiceAccount(client_id=CLIENT, client_secret="x"),
    )
    for credentials in (key, account):
        with atlas(url, credentials) as api, pytest.raises(RefusedError, match=r"Atlas: .*refused"):
            api.clusters()
    assert PRIVATE not in repr(KEY)
    assert SECRET not in repr(ACCOUNT)


def test_a_token_that_has_expired_is_renewed(url: str, double: AtlasDouble) -> None:
    """The service account's token is fetched once, and again when it is refused."""
    with atlas(url, ACCOUNT) as api:
        api.clusters()
        api.clusters()
        assert len(double.tokens) == 1
        double.tokens.clear()
        assert api.clusters() == []
        assert len(double.tokens) == 1


def test_a_busy_service_is_asked_again_after_the_time_it_says(url: str, double: AtlasDouble) -> None:
    """What only asks is repeated after 429 and 5xx, with the pause that was told or a growing one."""
    double.mood = in_turn(
        RefusalError(429, "RATE_LIMITED", "slow down", {"Retry-After": "7"}),
        RefusalError(503, "UNAVAILABLE", "not now"),
    )
    pauses: list[float] = []
    with atlas(url, pauses=pauses) as api:
        assert api.clusters() == []
    assert pauses == [7.0, 2.0]


def test_a_service_that_stays_broken_is_an_error_with_its_words(url: str, double: AtlasDouble) -> None:
    """After five attempts the last answer is told."""
    double.mood = in_turn(*[RefusalError(500, "UNEXPECTED_ERROR", "it broke")] * 9)
    with (
        atlas(url) as api,
        pytest.raises(AtlasError, match=r"GET /clusters\S*: 500 UNEXPECTED_ERROR: it broke"),
    ):
        api.clusters()
    assert len(double.asked) == 5


def test_what_makes_something_is_not_sent_twice(url: str, double: AtlasDouble) -> None:
    """A creation is repeated when it was refused unread, and never after an error that may have made it."""
    double.mood = in_turn(RefusalError(429, "RATE_LIMITED", "slow down"))
    with atlas(url) as api:
        api.create_cluster(CLUSTER)
        double.mood = in_turn(RefusalError(503, "UNAVAILABLE", "perhaps"))
        asked = len(double.asked)
        with pytest.raises(AtlasError, match="503 UNAVAILABLE"):
            api.create_cluster({**CLUSTER, "name": "other"})
        assert len(double.asked) == asked + 1
        double.mood = lambda request: request.startswith("POST")
        with pytest.raises(EnvironmentFailedError, match="may have been done: look before it is sent again"):
            api.create_cluster({**CLUSTER, "name": "third"})
        assert len(double.asked) == asked + 2
        double.mood = lambda _request: None
        assert api.cluster("third") is not None


def test_refusals_of_atlas_carry_its_code(url: str) -> None:
    """A name that is taken or not valid, and a snapshot of a cluster at work, are told in Atlas' words."""
    with atlas(url) as api:
        api.create_cluster(CLUSTER)
        with pytest.raises(AtlasError, match="409 DUPLICATE_CLUSTER_NAME: Cluster eco already exists"):
            api.create_cluster(CLUSTER)
        with pytest.raises(AtlasError, match="400 INVALID_CLUSTER_NAME"):
            api.create_cluster({**CLUSTER, "name": "ü"})
        with pytest.raises(AtlasError, match="409 CLUSTER_NOT_IDLE"):
            api.take_snapshot("eco", description="", retention_days=1)


def test_a_request_that_the_documentation_does_not_know_is_refused(url: str) -> None:
    """So what the client sends has the API's attributes in their form; one snapshot is taken at a time."""
    peering = {"container_id": "c" * 24, "account": "000000000000", "region": "us-east-1", "vpc_id": "vpc-1"}
    with atlas(url) as api:
        api.create_cluster(CLUSTER)
        api.wait_idle("eco", 10)
        with pytest.raises(AtlasError, match=r"400 INVALID_ATTRIBUTE: Invalid attribute retentionInDays"):
            api.take_snapshot("eco", description="", retention_days=0)
        with pytest.raises(AtlasError, match="400 INVALID_ATTRIBUTE: Invalid attribute routeTableCidrBlock"):
            api.create_peering(**peering, vpc_cidr="everywhere")
        snapshot = api.take_snapshot("eco", description="", retention_days=1)
        with pytest.raises(AtlasError, match="409 SNAPSHOT_IN_PROGRESS"):
            api.take_snapshot("eco", description="", retention_days=1)
        api.wait_snapshot("eco", snapshot["id"], 10)
        assert api.take_snapshot("eco", description="", retention_days=1)["status"] == "queued"


def test_a_wait_that_is_too_short_says_what_was_seen(url: str, double: AtlasDouble) -> None:
    """The time-out names the cluster and its last state; a failed snapshot ends the wait at once."""
    double.steps = 10**6
    with atlas(url) as api:
        api.create_cluster(CLUSTER)
        with pytest.raises(WaitTimeoutError, match=r"Atlas cluster eco to be idle; last seen: 'CREATING'"):
            api.wait_idle("eco", 0.05)
        double.clusters["eco"].update(looks=0)
        api.wait_idle("eco", 5)
        snapshot = api.take_snapshot("eco", description="", retention_days=1)["id"]
        double.snapshots[snapshot].update(status="failed", looks=0)
        with pytest.raises(EnvironmentFailedError, match=f"Atlas snapshot {snapshot} of eco: failed"):
            api.wait_snapshot("eco", snapshot, 5)
