"""What must be true after whatever is done: of what the platform has accepted, and of what faults leave."""

from __future__ import annotations

from collections.abc import Mapping

INVARIANTS: Mapping[str, str] = {
    "no_acknowledged_order_lost": "every acknowledged order is there afterwards",
    "no_order_doubled": "one idempotency key stands for one order, and takes its pieces once",
    "stock_never_negative": "no listing ever has fewer than no pieces",
    "pickups_kept": "every accepted pickup is there afterwards",
}
# Asked of every scenario that a file describes, without being written there.
ALWAYS: Mapping[str, str] = {
    "nothing_left_behind": "an audit that trusts no ledger finds nothing",
    "full_strength_again": "every workload has as many ready replicas as before",
}
