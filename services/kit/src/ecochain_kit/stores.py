"""MongoDB and Redis as a service sees them: bounded in time, and known to be there or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ecochain_kit.logs import LOG
from ecochain_kit.metrics import Metrics

Document = dict[str, Any]
COMMAND_TIMEOUT_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index that must exist before the service is ready."""

    collection: str
    keys: Sequence[tuple[str, int]]
    unique: bool = False


class _Measured(CommandListener):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def started(self, event: CommandStartedEvent) -> None:
        """Nothing: the end says how long it took."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self._metrics.store.labels(event.command_name, "ok").observe(event.duration_micros / 1e6)

    def failed(self, event: CommandFailedEvent) -> None:
        self._metrics.store.labels(event.command_name, "error").observe(event.duration_micros / 1e6)


class Mongo:
    """The service's database. Its commands end within COMMAND_TIMEOUT_S; a lost one raises PyMongoError."""

    name, required = "mongodb", True

    def __init__(self, uri: str, indexes: Sequence[Index], metrics: Metrics) -> None:
        self._client: AsyncMongoClient[Document] = AsyncMongoClient(
            uri,
            timeoutMS=int(COMMAND_TIMEOUT_S * 1000),
            serverSelectionTimeoutMS=1000,
            connectTimeoutMS=1000,
            # FerretDB has no sessions, and a write that may have happened is not ours to repeat.
            retryWrites=False,
            tz_aware=True,
            event_listeners=[_Measured(metrics)],
        )
        self.database: AsyncDatabase[Document] = self._client.get_default_database("ecochain")
        self._missing = list(indexes)

    async def reachable(self) -> bool:
        """Tell whether it answers; makes the indexes the first time it does."""
        try:
            while self._missing:
                index = self._missing[0]
                await self.database[index.collection].create_index(list(index.keys), unique=index.unique)
                self._missing.pop(0)
            await self.database.command("ping")
        except PyMongoError as error:
            if self._missing:
                LOG.warning("index %s not made: %s", self._missing[0], type(error).__name__)
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class Cache:
    """Redis, without which a service goes on: every command may raise RedisError, within half a second."""

    name, required = "redis", False

    def __init__(self, url: str) -> None:
        self.redis: Redis = Redis.from_url(
            url, socket_timeout=0.5, socket_connect_timeout=0.3, decode_responses=True
        )

    async def reachable(self) -> bool:
        """Tell whether it answers."""
        try:
            return bool(await self.redis.ping())
        except (RedisError, OSError):
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self.redis.aclose()
