"""invariant: what the platform accepted is true afterwards too, whatever was done to it; measured 1 or 0.

`details.invariant` names which one (`slas.invariants`). The evidence is what a recorder wrote that ordered
and asked for pickups through the front door meanwhile, and read everything back after the recovery.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slas.expectations import Expectation
from slas.invariants import ALWAYS, INVARIANTS
from slas.timeline import Event, Timeline
from slas.verdicts import Outcome, Verdict

_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class _Finding:
    """What is wrong (none: nothing), or why it cannot be known, and out of how many."""

    wrong: Sequence[str]
    unknown: str | None
    looks: int


@dataclass(frozen=True, kw_only=True)
class _Recorded:
    """What the recorder wrote in the window, by kind."""

    events: Mapping[str, Sequence[Event]]

    def of(self, kind: str) -> Sequence[Event]:
        return self.events.get(kind, ())

    def read(self, kind: str, after: Sequence[Event]) -> Event | None:
        """Return the last whole reading that is later than all of `after`."""
        since_s = max((float(event["t"]) for event in after), default=float("-inf"))
        whole = [event for event in self.of(kind) if not event.get("unread") and event["t"] >= since_s]
        return whole[-1] if whole else None


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge one invariant. Nothing acknowledged, or nothing read back afterwards, is INCONCLUSIVE."""
    name = str(expectation.details.get("invariant"))
    if name not in _CHECKS:
        return expectation.unknown(f"details.invariant: expected one of {', '.join(_CHECKS)}, got {name!r}")
    events: dict[str, list[Event]] = {}
    for event in timeline.of_kind(*_KINDS, start_s=expectation.start_s, end_s=expectation.end_s):
        # Faults do not say whose they are, but only one scenario's are in its window.
        if event.get("scenario") == expectation.scenario or event["kind"] == "fault.healed":
            events.setdefault(str(event["kind"]), []).append(event)
    found = _CHECKS[name](_Recorded(events=events))
    evidence = {
        "invariant": {**INVARIANTS, **ALWAYS}[name],
        "wrong": list(found.wrong),
        **{kind: len(events.get(kind, ())) for kind in _KINDS},
    }
    if found.wrong:
        more = f" and {len(found.wrong) - _NAMED} more" if len(found.wrong) > _NAMED else ""
        cause = "; ".join(found.wrong[:_NAMED]) + more
        return expectation.verdict(Outcome.FAIL, 0.0, cause=cause, evidence=evidence, samples=found.looks)
    if found.unknown is not None:
        return expectation.unknown(found.unknown, evidence=evidence, samples=found.looks)
    return expectation.verdict(Outcome.PASS, 1.0, evidence=evidence, samples=found.looks)


def _orders_lost(recorded: _Recorded) -> _Finding:
    acknowledged = recorded.of("order.acknowledged")
    return _lost("order", acknowledged, recorded.read("orders.read", acknowledged), "orders")


def _pickups_lost(recorded: _Recorded) -> _Finding:
    accepted = recorded.of("pickup.acknowledged")
    return _lost("pickup", accepted, recorded.read("pickups.read", accepted), "pickups")


def _lost(what: str, acknowledged: Sequence[Event], read: Event | None, field: str) -> _Finding:
    if not acknowledged:
        return _Finding(wrong=(), unknown=f"no {what} was acknowledged, so none could be lost", looks=0)
    if read is None:
        reason = f"the {field} were not read back after the last one was acknowledged"
        return _Finding(wrong=(), unknown=reason, looks=len(acknowledged))
    there = {str(one["id"]) for one in read[field]}
    lost = sorted({str(event["id"]) for event in acknowledged} - there)
    wrong = [f"{what} {number} was acknowledged and is not there" for number in lost]
    return _Finding(wrong=wrong, unknown=None, looks=len(acknowledged))


def _orders_doubled(recorded: _Recorded) -> _Finding:
    asked, acknowledged = recorded.of("order.asked"), recorded.of("order.acknowledged")
    read = recorded.read("orders.read", acknowledged)
    if not acknowledged or read is None:
        return _lost("order", acknowledged, read, "orders")
    ids: dict[str, set[str]] = {}
    for event in acknowledged:
        ids.setdefault(str(event["key"]), set()).add(str(event["id"]))
    wrong = [f"key {key} stands for {len(many)} orders" for key, many in sorted(ids.items()) if len(many) > 1]
    counted = Counter(str(one["id"]) for one in read["orders"])
    wrong += [f"order {number} is there {times} times" for number, times in counted.items() if times > 1]
    answered = {str(event["key"]) for event in (*acknowledged, *recorded.of("order.refused"))}
    open_keys = {str(event["key"]): int(event["quantity"]) for event in asked if event["key"] not in answered}
    known = {number for many in ids.values() for number in many}
    strange = [number for number in counted if number not in known]
    if len(strange) > len(open_keys):
        wrong.append(
            f"{len(strange)} orders are there that no acknowledgement names, {len(open_keys)} were open"
        )
    unknown = None
    for listing, taken, sold in _stocks(recorded, read):
        # Pieces of an order that was never answered may be reserved and not yet sold.
        if taken > sold + sum(open_keys.values()):
            wrong.append(f"listing {listing} lost {taken} pieces to orders of {sold}")
        elif taken > sold:
            unknown = (
                f"listing {listing}: {taken - sold} pieces are reserved by orders that were not answered"
            )
    if not recorded.of("stock.read"):
        unknown = "no listing's stock was read"
    return _Finding(wrong=wrong, unknown=unknown, looks=len(asked))


def _stock_negative(recorded: _Recorded) -> _Finding:
    looks = recorded.of("stock.read")
    if not looks:
        return _Finding(wrong=(), unknown="no listing's stock was read", looks=0)
    wrong = [
        f"listing {event['listing']} had {event['stock']} pieces" for event in looks if event["stock"] < 0
    ]
    acknowledged = recorded.of("order.acknowledged")
    read = recorded.read("orders.read", acknowledged)
    if not acknowledged or read is None:
        lacking = _lost("order", acknowledged, read, "orders")
        return _Finding(wrong=wrong, unknown=lacking.unknown, looks=len(looks))
    wrong += [
        f"listing {listing} sold {sold} pieces and gave {taken}"
        for listing, taken, sold in _stocks(recorded, read)
        if sold > taken
    ]
    return _Finding(wrong=wrong, unknown=_not_sold_out(recorded), looks=len(looks))


def _not_sold_out(recorded: _Recorded) -> str | None:
    """Tell why nothing could have been oversold: no listing had nothing left when it was asked for."""
    empty = {str(event["listing"]) for event in recorded.of("stock.read") if event["stock"] <= 0}
    if not empty:
        return "no listing sold out, so none could be oversold"
    refused = {str(event["key"]) for event in recorded.of("order.refused")}
    asked = {str(event["listing"]) for event in recorded.of("order.asked") if event["key"] in refused}
    return None if empty & asked else "nobody was refused a sold-out listing, so none could be oversold"


def _stocks(recorded: _Recorded, read: Event) -> list[tuple[str, int, int]]:
    """Return per listing the pieces that its stock lost and those that its orders have, by the last look."""
    last = {str(event["listing"]): event for event in recorded.of("stock.read")}
    sold: Counter[str] = Counter()
    for one in read["orders"]:
        if one.get("status") != "cancelled":
            sold[str(one["listing"])] += int(one["quantity"])
    return [
        (listing, int(event["initial"]) - int(event["stock"]), sold[listing])
        for listing, event in last.items()
        if event["t"] >= read["t"]
    ]


def _left_behind(recorded: _Recorded) -> _Finding:
    """Judge by the last audit after the last healing; one of before knows nothing of what came then."""
    healed_s = max((float(event["t"]) for event in recorded.of("fault.healed")), default=float("-inf"))
    audits = [event for event in recorded.of("audit.ended") if event["t"] >= healed_s]
    if not audits:
        return _Finding(wrong=(), unknown="nobody looked for what the faults left", looks=0)
    wrong = [f"left behind: {one}" for one in audits[-1]["remainders"]]
    return _Finding(wrong=wrong, unknown=audits[-1].get("unseen"), looks=len(audits))


def _weakened(recorded: _Recorded) -> _Finding:
    """Compare the replicas that were ready before the faults with those that are after the last healing."""
    healed_s = max((float(event["t"]) for event in recorded.of("fault.healed")), default=float("-inf"))
    looks = recorded.of("strength.read")
    before = [event for event in looks if event["when"] == "before"]
    after = [event for event in looks if event["when"] == "after" and event["t"] >= healed_s]
    if not before or not after:
        return _Finding(wrong=(), unknown="nobody counted the replicas before and after", looks=len(looks))
    had, has = before[-1]["ready"], after[-1]["ready"]
    wrong = [f"{name} has {has.get(name, 0)} of {had[name]} replicas ready" for name in sorted(had)]
    wrong = [words for name, words in zip(sorted(had), wrong, strict=True) if has.get(name, 0) < had[name]]
    return _Finding(wrong=wrong, unknown=None, looks=len(had))


_KINDS = (
    "order.asked",
    "order.acknowledged",
    "order.refused",
    "orders.read",
    "stock.read",
    "pickup.acknowledged",
    "pickups.read",
    "audit.ended",
    "strength.read",
    "fault.healed",
)
_CHECKS: Mapping[str, Callable[[_Recorded], _Finding]] = {
    "no_acknowledged_order_lost": _orders_lost,
    "no_order_doubled": _orders_doubled,
    "stock_never_negative": _stock_negative,
    "pickups_kept": _pickups_lost,
    "nothing_left_behind": _left_behind,
    "full_strength_again": _weakened,
}
