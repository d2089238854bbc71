"""The seam to AWS: one account and region, or their double, through boto3 and not through Terraform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.exceptions
import botocore.loaders
import botocore.session
from botocore.config import Config

from core.errors import EnvironmentFailedError, RefusedError

RUN_TAG = "ecochain.dev/run"
# The descriptions of the services take seconds to read: once a process is enough.
_DESCRIPTIONS = botocore.loaders.create_loader()
# What AWS answers to credentials that were good once.
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What opens an account. Never written anywhere; its text hides it."""

    access_key: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"

    @classmethod
    def find(cls) -> Credentials:
        """Take those that boto3 finds (environment, profile, single sign-on, role of the machine).

        Raises RefusedError if there are none or they cannot be loaded.
        """
        try:
            found = boto3.Session().get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except botocore.exceptions.BotoCoreError as error:
            raise RefusedError(f"AWS credentials: they cannot be loaded: {error}") from error
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            raise RefusedError(
                "AWS credentials: expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role; "
                "found none"
            )
        return cls(access_key=frozen.access_key, secret_key=frozen.secret_key, session_token=frozen.token)

    @property
    def environment(self) -> dict[str, str]:
        """Return them as variables for a subprocess alone."""
        given = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        return {**given, **({"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {})}


class Aws:
    """One account and region, or their double. Clients are made once a service."""

    def __init__(self, *, credentials: Credentials, region: str, endpoint_url: str | None = None) -> None:
        core = botocore.session.get_session()
        core.register_component("data_loader", _DESCRIPTIONS)
        # Only three services have stubs here, so every client is untyped alike.
        self._session: Any = boto3.Session(
            botocore_session=core,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.session_token,
            region_name=region,
        )
        self.region = region
        self.endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}
        doubled: dict[str, Any] = {"s3": {"addressing_style": "path"}, "proxies": {}}
        self._config = Config(
            connect_timeout=2,
            read_timeout=10,
            retries={"total_max_attempts": 5, "mode": "standard"},
            **(doubled if endpoint_url else {}),
        )

    @property
    def place(self) -> str:
        """Return where it is, for messages."""
        return self.endpoint_url or f"AWS {self.region}"

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service."""
        if service not in self._clients:
            self._clients[service] = self.fresh_client(service)
        return self._clients[service]

    def fresh_client(self, service: str) -> Any:
        """Return a client of its own, for who registers handlers on it."""
        return self._session.client(service, endpoint_url=self.endpoint_url, config=self._config)

    def account(self) -> str:
        """Return the account's number. Raises RefusedError if the credentials do not open any."""
        try:
            return str(self.client("sts").get_caller_identity()["Account"])
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            why = "have expired: renew them" if code in _EXPIRED else f"were refused: {error}"
            raise RefusedError(f"AWS credentials for {self.place} {why}") from error
        except botocore.exceptions.BotoCoreError as error:
            raise RefusedError(
                f"{self.place}: whose credentials these are cannot be asked: {error}"
            ) from error

    @staticmethod
    def pages(client: Any, call: str, path: str, **arguments: Any) -> Iterator[Any]:
        """Yield every entry of a listing, page by page; `path` leads to the list, through lists too."""
        pages = (
            client.get_paginator(call).paginate(**arguments)
            if client.can_paginate(call)
            else [getattr(client, call)(**arguments)]
        )
        for page in pages:
            yield from _at(page, path.split("."))

    def delete_clusters(self, *, prefix: str) -> list[str]:
        """Delete the EKS clusters whose names start with `prefix`, with their node groups; return the names.

        Only for a double, where a deletion is done at once. Raises EnvironmentFailedError.
        """
        eks = self.client("eks")
        try:
            names = [name for name in self.pages(eks, "list_clusters", "clusters") if name.startswith(prefix)]
            for name in names:
                for group in self.pages(eks, "list_nodegroups", "nodegroups", clusterName=name):
                    eks.delete_nodegroup(clusterName=name, nodegroupName=group)
                eks.delete_cluster(name=name)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise EnvironmentFailedError(f"deleting EKS clusters {prefix}*: {error}") from error
        return names


def _at(found: Any, path: list[str]) -> list[Any]:
    if not path:
        return found if isinstance(found, list) else [found]
    if isinstance(found, list):
        return [entry for one in found for entry in _at(one, path)]
    if not isinstance(found, Mapping) or found.get(path[0]) is None:
        return []
    return _at(found[path[0]], path[1:])
