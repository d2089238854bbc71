"""What a resource costs while nobody uses it: list prices of us-east-1 in US dollars.

They are there to say which remainder is urgent, not to forecast a bill. From the public price pages; what is
billed by use alone (requests, gigabytes) has no price here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# US dollars an hour.
NAT_GATEWAY = 0.045
PUBLIC_ADDRESS = 0.005
VPC_ENDPOINT = 0.01  # a zone
EKS_CLUSTER = 0.10
LOAD_BALANCER = 0.0225
# US dollars a month.
MONTH_DAYS = 30.4
VOLUME_GIB_MONTH = 0.08
SECRET_MONTH = 0.40
HOSTED_ZONE_MONTH = 0.50
KEY_MONTH = 1.00
ALARM_MONTH = 0.10

# US dollars an hour and node, by class.
CLASSES = {
    "t3.small": 0.0208,
    "t3.medium": 0.0416,
    "t3.large": 0.0832,
    "t3.xlarge": 0.1664,
    "m6i.large": 0.096,
    "m6i.xlarge": 0.192,
    "g4dn.xlarge": 0.526,
    "g5.xlarge": 1.006,
    "db.t3.micro": 0.018,
    "db.t4g.micro": 0.016,
    "db.t3.medium": 0.072,
    "db.t4g.medium": 0.065,
    "db.r6g.large": 0.225,
    "db.m6g.large": 0.159,
    "db.m7g.large": 0.168,
    "cache.t3.micro": 0.017,
    "cache.t4g.micro": 0.016,
    "cache.t4g.small": 0.032,
    "cache.t3.medium": 0.068,
    "cache.t4g.medium": 0.065,
    "cache.r6g.large": 0.206,
    "cache.m7g.large": 0.158,
}

Entry = Mapping[str, Any]
Price = Callable[[Entry], float | None]


def free(_entry: Entry) -> float | None:
    """Return 0: it costs nothing by itself."""
    return 0.0


def unknown(_entry: Entry) -> float | None:
    """Return None: what it costs depends on what it holds or serves."""
    return None


def flat(usd_per_hour: float) -> Price:
    """Return the price of what has one rate."""
    return lambda _entry: usd_per_hour * 24


def monthly(usd_per_month: float) -> Price:
    """Return the price of what is billed by the month."""
    return lambda _entry: usd_per_month / MONTH_DAYS


def by_class(key: str) -> Price:
    """Return the price by the class that `key` names; None for a class that is not in the table."""

    def price(entry: Entry) -> float | None:
        rate = CLASSES.get(str(entry.get(key)))
        return None if rate is None else rate * 24

    return price


def database(entry: Entry) -> float | None:
    """Return the price of a database instance without its storage; a second zone doubles it."""
    rate = by_class("DBInstanceClass")(entry)
    return None if rate is None else rate * (2 if entry.get("MultiAZ") else 1)


def replication_group(entry: Entry) -> float | None:
    """Return the price of all nodes of a replication group."""
    rate = by_class("CacheNodeType")(entry)
    return None if rate is None else rate * len(entry.get("MemberClusters") or [None])


def node_group(entry: Entry) -> float | None:
    """Return the price of the nodes that a node group wants to have."""
    rate = CLASSES.get(str((entry.get("instanceTypes") or [None])[0]))
    wanted = (entry.get("scalingConfig") or {}).get("desiredSize")
    return None if rate is None or wanted is None else rate * 24 * float(wanted)
