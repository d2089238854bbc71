"""How one kind of AWS resource is listed, named, tagged and priced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions

from clients import aws_prices as prices

Entry = Mapping[str, Any]
Tags = dict[str, str]
# States of what is still shown for a while after it was deleted.
GONE = {"deleted", "deleting", "terminated", "shutting-down"}
_UNTAGGED = {"NoSuchTagSet", "NoSuchBucket", "NoSuchEntity", "NotFoundException"}


def tags_of(entries: Iterable[Mapping[str, str]]) -> Tags:
    """Return AWS's list of {Key, Value} as a mapping."""
    return {entry["Key"]: entry["Value"] for entry in entries}


def inline(key: str) -> Callable[[Any, Entry], Tags]:
    """Return a reader of tags that the listing has already."""
    return lambda _client, entry: tags_of(entry.get(key) or ())


def tags_inline(_client: Any, entry: Entry) -> Tags:
    """Return the tags that most listings have already."""
    return tags_of(entry.get("Tags") or ())


def asked(call: str, argument: str, of: str, path: str) -> Callable[[Any, Entry], Tags]:
    """Return a reader of tags by a call of their own; what is gone or bears none has none."""

    def read(client: Any, entry: Entry) -> Tags:
        if entry.get(of) is None:
            return {}
        try:
            answer: Any = getattr(client, call)(**{argument: entry[of]})
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _UNTAGGED:
                return {}
            raise
        for part in path.split("."):
            answer = answer.get(part) or {}
        return dict(answer) if isinstance(answer, Mapping) else tags_of(answer)

    return read


def zone_tags(client: Any, entry: Entry) -> Tags:
    """Return a hosted zone's tags."""
    zone = entry["Id"].rpartition("/")[2]
    answer = client.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)
    return tags_of(answer["ResourceTagSet"].get("Tags") or ())


def key_tags(client: Any, entry: Entry) -> Tags:
    """Return a key's tags."""
    answer = client.list_resource_tags(KeyId=entry["KeyId"])
    return {tag["TagKey"]: tag["TagValue"] for tag in answer.get("Tags") or ()}


def no_tags(_client: Any, _entry: Entry) -> Tags:
    """Return none: its name has to tell whose it is."""
    return {}


def _always(_client: Any, _entry: Entry) -> bool:
    return True


def not_in(key: str) -> Callable[[Any, Entry], bool]:
    """Return what tells whether a thing is still there by its state, which is shown for a while after."""

    def there(_client: Any, entry: Entry) -> bool:
        state = entry.get(key)
        return (state.get("Name") if isinstance(state, Mapping) else state) not in GONE

    return there


def key_kept(client: Any, entry: Entry) -> bool:
    """Tell whether a key lives: AWS's own are not ours, one that waits for its deletion costs nothing."""
    found: dict[str, str] = client.describe_key(KeyId=entry["KeyId"])["KeyMetadata"]
    return found.get("KeyManager") != "AWS" and found.get("KeyState") != "PendingDeletion"


def _never(_entry: Entry) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of resource.

    `call` lists it and `entries` is the path to the list in the answer. `identifier` is the key of what tells
    one from another, as Terraform's attribute `attribute` of the resource `terraform` has it. `names` are
    keys whose text may carry the run's prefix. `implied` tells what AWS makes by itself with another
    resource and removes with it. `usd_per_day` is what an entry costs, None where that depends on use.
    """

    name: str
    service: str
    call: str
    entries: str
    identifier: str
    terraform: str | None = None
    attribute: str = "id"
    names: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    tags: Callable[[Any, Entry], Tags] = tags_inline
    exists: Callable[[Any, Entry], bool] = _always
    implied: Callable[[Entry], bool] = _never
    usd_per_day: Callable[[Entry], float | None] = prices.free
