"""The lab's stand-in for MongoDB keeps what services build on: updates are atomic, unique keys are unique."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from core.waiting import wait_until
from lab import programs

CLIENTS, STOCK = 50, 20
Database = AsyncDatabase[dict[str, object]]
Attempt = Callable[[Database, int], Awaitable[bool]]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    state = tmp_path_factory.mktemp("ferretdb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [
        str(programs.ensure("ferretdb")),
        "--handler=sqlite",
        f"--sqlite-url=file:{state}/",
        f"--listen-addr=127.0.0.1:{port}",
        "--debug-addr=-",
        f"--state-dir={state}",
        "--telemetry=disable",
        "--log-level=error",
    ]
    process = subprocess.Popen(argv, env=dict(os.environ), stdout=subprocess.DEVNULL)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until("FerretDB to listen", listens, 20)
        yield f"mongodb://127.0.0.1:{port}/atomic"
    finally:
        process.kill()
        process.wait()


def at_once(uri: str, prepare: Callable[[Database], Awaitable[object]], attempt: Attempt) -> tuple[int, int]:
    """Return how many of fifty clients, each on a connection of its own, won, and the stock that is left."""

    async def rush() -> tuple[int, int]:
        clients = [AsyncMongoClient[dict[str, object]](uri, retryWrites=False) for _ in range(CLIENTS)]
        bases = [client.get_default_database() for client in clients]
        try:
            await asyncio.gather(*(base.command("ping") for base in bases))
            await prepare(bases[0])
            won = await asyncio.gather(*(attempt(base, number) for number, base in enumerate(bases)))
            left = await bases[0].things.find_one({"_id": "thing"}) or {}
            return sum(won), int(str(left.get("stock", -1)))
        finally:
            for client in clients:
                await client.close()

    return asyncio.run(rush())


async def stocked(base: Database) -> None:
    await base.things.delete_many({})
    await base.things.insert_one({"_id": "thing", "stock": STOCK, "taken": []})


WANTED, TAKE = {"_id": "thing", "stock": {"$gte": 1}}, {"$inc": {"stock": -1}, "$push": {"taken": 1}}


async def find_and_modify(base: Database, _number: int) -> bool:
    return await base.things.find_one_and_update(WANTED, TAKE) is not None


async def update(base: Database, _number: int) -> bool:
    return (await base.things.update_one(WANTED, TAKE)).modified_count == 1


async def read_then_write(base: Database, _number: int) -> bool:
    """Do what an update that is not atomic amounts to."""
    found = await base.things.find_one(WANTED)
    if found is None:
        return False
    await base.things.update_one({"_id": "thing"}, {"$set": {"stock": int(str(found["stock"])) - 1}})
    return True


@pytest.mark.parametrize("attempt", [find_and_modify, update])
def test_a_conditional_update_of_one_document_is_atomic(uri: str, attempt: Attempt) -> None:
    """Of fifty that take one of twenty pieces at once, twenty win and nothing is left."""
    for _ in range(3):
        assert at_once(uri, stocked, attempt) == (STOCK, 0)


def test_the_rush_finds_an_update_that_is_not_atomic(uri: str) -> None:
    """A read and a write in two steps give more than there is."""
    won, left = at_once(uri, stocked, read_then_write)
    assert won + left > STOCK


def test_a_document_is_removed_once(uri: str) -> None:
    """Of fifty that remove it, one did."""

    async def remove(base: Database, _number: int) -> bool:
        return (await base.things.delete_one({"_id": "thing"})).deleted_count == 1

    assert at_once(uri, stocked, remove)[0] == 1


@pytest.mark.parametrize(("unique", "made"), [(True, 1), (False, CLIENTS)])
def test_a_unique_index_lets_one_of_equal_documents_in(uri: str, unique: bool, made: int) -> None:
    """Of fifty inserts with one key at once, one is made; without the index all are."""
    name = f"orders-{unique}"

    async def index(base: Database) -> None:
        await base[name].create_index([("tenant", 1), ("buyer", 1), ("key", 1)], unique=unique)

    async def insert(base: Database, number: int) -> bool:
        try:
            await base[name].insert_one({"_id": f"o{number}", "tenant": "t", "buyer": "b", "key": "k"})
        except DuplicateKeyError:
            return False
        return True

    assert at_once(uri, index, insert)[0] == made
