"""What exists in an AWS account and region, service by service, seen without Terraform."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.exceptions

from clients import aws_prices as prices
from clients.aws import RUN_TAG, Aws
from clients.aws_kind import Kind, tags_inline
from clients.aws_kinds import EKS_KINDS, KINDS, PART_PREFIXES, PARTS
from core.errors import EnvironmentFailedError


@dataclass(frozen=True, kw_only=True, order=True)
class Resource:
    """One thing that exists: its kind, its identifier, what tells whose it is, and US dollars a day.

    `implied` is true of what AWS made by itself with another resource, and removes with it.
    """

    kind: str
    identifier: str
    names: tuple[str, ...] = field(default=(), compare=False)
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)
    implied: bool = field(default=False, compare=False)
    usd_per_day: float | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.identifier}"

    @property
    def priced(self) -> str:
        """Return it with what it costs a day, where that is known and not nothing."""
        return f"{self} ({self.usd_per_day:.2f} USD a day)" if self.usd_per_day else str(self)

    def of_run(self, run_id: str, prefix: str) -> bool:
        """Tell whether it is the run's: by its tag, else by the prefix in a name or a tag."""
        tagged = self.tags.get(RUN_TAG)
        if tagged is not None:
            return tagged == run_id
        texts = (self.identifier, *self.names, *self.tags, *self.tags.values())
        named = re.compile(rf"(?<![a-z0-9]){re.escape(prefix)}(?![a-z0-9])")
        return any(named.search(text) for text in texts)


def inventory(aws: Aws) -> list[Resource]:
    """Return everything of every kind in the account and region, sorted.

    Raises EnvironmentFailedError if a listing fails: what cannot be listed is not known to be gone.
    """
    try:
        found = [resource for kind in KINDS for resource in _of_kind(aws, kind)]
        found += _clusters(aws)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise EnvironmentFailedError(f"listing {aws.place} failed: {error}") from error
    return sorted(found)


def remains(aws: Aws, *, run_id: str, prefix: str) -> list[Resource]:
    """Return what is the run's, by tag or by name, of every kind. Raises EnvironmentFailedError."""
    return [resource for resource in inventory(aws) if resource.of_run(run_id, prefix)]


def managed(state_file: Path) -> list[tuple[str, str]]:
    """Return (kind, identifier) of each resource in a Terraform state that a listing shows by itself.

    Raises EnvironmentFailedError for a type that no listing covers and that is no part of another: its
    remainders would not be found.
    """
    kinds = {kind.terraform: kind for kind in KINDS}
    found: list[tuple[str, str]] = []
    for resource in json.loads(state_file.read_text())["resources"]:
        kind_of = str(resource["type"])
        if resource["mode"] != "managed" or not kind_of.startswith("aws_") or is_part(kind_of):
            continue
        kind = kinds.get(kind_of)
        name = EKS_KINDS.get(kind_of) or (kind.name if kind else None)
        if name is None:
            raise EnvironmentFailedError(f"no listing shows {kind_of}: what is left of it would not be found")
        key = kind.attribute if kind else "id"
        found.extend((name, str(instance["attributes"][key])) for instance in resource["instances"])
    return sorted(found)


def known_types() -> set[str]:
    """Return the Terraform types that a listing shows by itself."""
    return {kind.terraform for kind in KINDS if kind.terraform} | set(EKS_KINDS)


def is_part(terraform_type: str) -> bool:
    """Tell whether a Terraform type is a part of a listed resource and goes with it."""
    return terraform_type in PARTS or terraform_type.startswith(PART_PREFIXES)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What a listing lacks of a Terraform state, and what it has beyond it."""

    unseen: tuple[str, ...]
    unmanaged: tuple[str, ...]


def difference(
    state: Sequence[tuple[str, str]], before: Iterable[Resource], after: Iterable[Resource]
) -> Difference:
    """Compare what was made since `before` with a state's (kind, identifier) pairs.

    What AWS made by itself with another resource is not counted as unmanaged.
    """
    made = set(after) - set(before)
    keys = {(resource.kind, resource.identifier) for resource in made}
    return Difference(
        unseen=tuple(f"{kind} {name}" for kind, name in state if (kind, name) not in keys),
        unmanaged=tuple(
            str(resource)
            for resource in sorted(made)
            if not resource.implied and (resource.kind, resource.identifier) not in set(state)
        ),
    )


def _of_kind(aws: Aws, kind: Kind) -> Iterator[Resource]:
    client = aws.client(kind.service)
    for found in aws.pages(client, kind.call, kind.entries, **kind.arguments):
        entry = found if isinstance(found, Mapping) else {"": found}
        if not kind.exists(client, entry):
            continue
        identifier = str(entry[kind.identifier]).removeprefix("/hostedzone/")
        implied = kind.implied(entry)
        names = [_at(entry, name) for name in kind.names]
        yield Resource(
            kind=kind.name,
            identifier=identifier,
            names=tuple(str(name) for name in names if name),
            # AWS's own things are many, and asking for each one's tags takes a call.
            tags={} if implied and kind.tags is not tags_inline else kind.tags(client, entry),
            implied=implied,
            usd_per_day=kind.usd_per_day(entry),
        )


def _at(entry: Mapping[str, Any], path: str) -> Any:
    found: Any = entry
    for part in path.split("."):
        found = (found or {}).get(part)
    return found


def _clusters(aws: Aws) -> Iterator[Resource]:
    eks = aws.client("eks")
    for name in aws.pages(eks, "list_clusters", "clusters"):
        tags = eks.describe_cluster(name=name)["cluster"].get("tags") or {}
        yield Resource(kind="eks-cluster", identifier=name, tags=tags, usd_per_day=prices.EKS_CLUSTER * 24)
        for group in aws.pages(eks, "list_nodegroups", "nodegroups", clusterName=name):
            entry = eks.describe_nodegroup(clusterName=name, nodegroupName=group)["nodegroup"]
            yield Resource(
                kind="eks-node-group",
                identifier=f"{name}:{group}",
                tags={**tags, **(entry.get("tags") or {})},
                usd_per_day=prices.node_group(entry),
            )
        for addon in aws.pages(eks, "list_addons", "addons", clusterName=name):
            yield Resource(kind="eks-addon", identifier=f"{name}:{addon}", tags=tags, usd_per_day=0.0)
