"""For everything that a scenario may expect, a system that is fragile in just that way. Data.

A scenario holds on the sound system, with the bounds of `EXPECTED`. Each fragile system breaks one of them
and keeps the others that are asked beside it.

What a bound of total downtime sees, one of the longest outage sees too where there is one outage; so each is
asked without the other, or with a bound that one outage keeps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ineffective_faults import AUTH, Edit

_VALUES = f"helm/values/lab/{AUTH}.yaml"
MARKET, COLLECTION = "marketplace-service", "collection-service"
_BOOKS = (AUTH, "user-service", COLLECTION, MARKET, "api")
_INVARIANTS = ("no_acknowledged_order_lost", "no_order_doubled", "stock_never_negative", "pickups_kept")


@dataclass(frozen=True, kw_only=True)
class Disturbed:
    """What is done, to which services, and what of it must hold on the sound system."""

    faults: Sequence[Mapping[str, Any]]
    expect: Mapping[str, str | bool] = field(default_factory=dict)
    invariants: Sequence[str] = ()
    subject: str = AUTH
    services: Sequence[str] = (AUTH,)
    more: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def scenario(self, name: str, asked: Sequence[str] | None = None) -> str:
        """Return the scenario file; with `asked`, of what is expected only these."""
        whole = {sla: bound for sla, bound in self.expect.items() if asked is None or sla in asked}
        wanted = [one for one in self.invariants if asked is None or one in asked]
        return json.dumps(
            {
                "name": name,
                "reason": "It shows what the system is worth.",
                "promise": "replicas",
                "sets": ["full"],
                "subject": self.subject,
                "all_replicas": True,
                "faults": self.faults,
                **({"expect": {"whole": whole}} if whole else {"expect": {}}),
                **({"invariants": wanted} if wanted else {}),
                **self.more,
            }
        )


@dataclass(frozen=True, kw_only=True)
class Fragile:
    """A fragile system: which scenario shows it, what is altered, and what holds beside what breaks."""

    shown_by: str
    edits: Sequence[Edit]
    holds: Sequence[str]
    # The cause that the verdict must name, where its SLA names one.
    cause: str = ""


def _kill(service: str, count: int, at: str = "0s") -> dict[str, Any]:
    return {"fault": "container_kill", "at": at, "target": {"service": service, "count": count}}


SCENARIOS: Mapping[str, Disturbed] = {
    "one-is-deleted": Disturbed(
        faults=[{"fault": "pod_delete", "target": {"service": AUTH, "count": 1}}],
        expect={
            "downtime": "500ms",
            "error_ratio": "10%",
            "latency_p95": "120ms",
            "latency_p99": "120ms",
            "recovery_time": "6s",
            "steady_state": True,
        },
        more={"window": "10s"},
    ),
    "one-is-killed": Disturbed(
        faults=[_kill(AUTH, 1)],
        # Between the two that it has to tell apart. A killed replica stays among the endpoints until its
        # kubelet looks, which it does once a second: up to 1.3 s of refused connections with two. A lone one
        # is away for as long as it takes to start, from 1.8 s on.
        expect={"downtime": "1500ms", "downtime_longest": "1500ms", "recovery_time": "20s"},
        # A replica that does not come back is waited for so long, twice.
        settings={"scenarios": {"recovery_timeout_s": 10}},
    ),
    "one-is-deleted-while-it-is-deployed": Disturbed(
        faults=[{"fault": "pod_delete", "target": {"service": AUTH, "count": 1}}],
        expect={"deploy_time": "12s", "downtime": "500ms"},
        more={"deployment": {"service": AUTH, "at": "2s"}},
    ),
    "one-answers-late": Disturbed(
        faults=[
            {
                "fault": "network_delay",
                "duration": "4s",
                "target": {"service": AUTH, "count": 1},
                "parameters": {"delay": "50ms"},
            }
        ],
        expect={"downtime": "500ms", "error_ratio": "10%"},
    ),
    "all-are-killed": Disturbed(
        faults=[_kill(MARKET, 2, "4s"), _kill(COLLECTION, 2, "4s")],
        expect={"recovery_time": "30s"},
        invariants=_INVARIANTS,
        subject=MARKET,
        services=_BOOKS,
        more={"load": "platform", "window": "16s"},
        settings={"load": {"front_door": "api", "rate": 10}},
    ),
}


def _answers(module: str, condition: str, does: str, *, begins: str = "pass") -> Edit:
    """Put in front of a service what begins with it and, on a condition, does something else than answer."""
    return Edit(
        file=f"services/{module.replace('_', '-')}/src/{module}/__main__.py",
        old=f"    from {module}.server import main\n\n    sys.exit(main())\n",
        new=f"""    import asyncio
    import itertools
    import os

    from {module}.server import main
    from ecochain_kit.problems import Problem

    numbers = itertools.count()
    {begins}

    async def unheard(_message):
        pass

    def fragile(app):
        async def answer(scope, receive, send):
            path = scope.get("path", "")
            if {condition}:
                {does}
            else:
                await app(scope, receive, send)
        return answer

    sys.exit(main(fragile))
""",
    )


_FAILS = 'await Problem(500, "fragile", "fragile").response()(scope, receive, send)'
# Near to what counts as a stall: beside it a steady state is not asked for.
_SLOW = "await asyncio.sleep(0.17); await app(scope, receive, send)"
_OF_LOAD = 'path not in ("/health", "/ready")'
_ONE_REPLICA = Edit(file=_VALUES, old="replicaCount: 2", new="replicaCount: 1")
_SLOW_START = Edit(
    file=_VALUES,
    old="readiness: {periodSeconds: 1, failureThreshold: 2}",
    new="readiness: {periodSeconds: 1, failureThreshold: 2, initialDelaySeconds: 9}",
)
# What is answered is written two seconds later, and who reads waits for longer than that: without a crash
# nothing is ever missing.
_LATER_S, _READ_LATER_S = 2.0, 2.4
_ORDERS = f"services/{MARKET}/src/marketplace_service/orders.py"
_PICKUPS = f"services/{COLLECTION}/src/collection_service/pickups.py"


def _written_later(file: str, insert: str) -> Edit:
    """Answer before it is written."""
    return Edit(
        file=file,
        old=f"            await {insert}\n",
        new=f"""            import asyncio

            async def later():
                await asyncio.sleep({_LATER_S})
                await {insert}

            held = asyncio.get_running_loop().create_task(later())
            globals().setdefault("_held", set()).add(held)
""",
    )


def _read_later(file: str, line: str) -> Edit:
    return Edit(
        file=file, old=line, new=f'        await __import__("asyncio").sleep({_READ_LATER_S})\n{line}'
    )


FRAGILE: Mapping[str, Fragile] = {
    "downtime": Fragile(
        shown_by="one-is-killed", edits=[_ONE_REPLICA], holds=["recovery_time"], cause="killed process"
    ),
    "downtime_longest": Fragile(
        shown_by="one-is-killed", edits=[_ONE_REPLICA], holds=["recovery_time"], cause="killed process"
    ),
    "error_ratio": Fragile(
        shown_by="one-is-deleted",
        edits=[_answers("auth_service", f"{_OF_LOAD} and next(numbers) % 5 == 0", _FAILS)],
        holds=["downtime", "latency_p95", "recovery_time"],
    ),
    "steady_state": Fragile(
        shown_by="one-is-deleted",
        edits=[_answers("auth_service", f"{_OF_LOAD} and next(numbers) % 40 == 0", _FAILS)],
        holds=["downtime", "error_ratio", "latency_p95", "recovery_time"],
        cause="requests failed",
    ),
    "latency_p95": Fragile(
        shown_by="one-is-deleted",
        edits=[_answers("auth_service", 'path == "/health" and next(numbers) % 8 == 0', _SLOW)],
        holds=["downtime", "error_ratio", "recovery_time"],
    ),
    "latency_p99": Fragile(
        shown_by="one-is-deleted",
        edits=[_answers("auth_service", 'path == "/health" and next(numbers) % 40 == 0', _SLOW)],
        holds=["downtime", "error_ratio", "latency_p95", "recovery_time"],
    ),
    "recovery_time": Fragile(
        shown_by="one-is-deleted",
        edits=[_SLOW_START],
        holds=["downtime", "error_ratio", "latency_p95"],
    ),
    "deploy_time": Fragile(
        shown_by="one-is-deleted-while-it-is-deployed", edits=[_SLOW_START], holds=["downtime"]
    ),
    # It is ready once only: what it finds in its temporary space says that it has run before.
    "full_strength_again": Fragile(
        shown_by="one-is-killed",
        edits=[
            Edit(file=_VALUES, old="scryptLog2N: 11", new="scryptLog2N: 11\ntemporarySpace: 16Mi"),
            _answers(
                "auth_service",
                'path == "/ready" and ran',
                'await Problem(503, "fragile", "fragile").response()(scope, receive, send)',
                begins='ran = os.path.exists("/tmp/ran"); open("/tmp/ran", "w").close()',
            ),
        ],
        holds=["downtime"],
        cause="auth-service has 1 of 2 replicas ready",
    ),
    # Not the system but the undoing is fragile here: it goes through, and does not take all with it.
    "nothing_left_behind": Fragile(
        shown_by="one-answers-late",
        edits=[
            Edit(
                file="chaos/node/chains.py",
                old='                        *(f"-X {name}" for name in chains),\n',
                new="",
            ),
            Edit(
                file="chaos/node/chains.py",
                old="                _drop_empty(inode, family, touched)\n",
                new="",
            ),
        ],
        holds=["downtime", "error_ratio"],
        cause="left behind: network_filter at .*chain ECOCHAIN-CHAOS-",
    ),
    "no_acknowledged_order_lost": Fragile(
        shown_by="all-are-killed",
        edits=[
            _written_later(_ORDERS, "self._orders.insert_one(dict(pending))"),
            _read_later(_ORDERS, '        wanted = {"tenant": buyer.tenant, "buyer": buyer.user_id}\n'),
        ],
        holds=["stock_never_negative", "pickups_kept", "recovery_time"],
        cause="was acknowledged and is not there",
    ),
    # Some answers get lost when all is done. A client asks again with the same key, which is the same order.
    "no_order_doubled": Fragile(
        shown_by="all-are-killed",
        edits=[
            Edit(file=_ORDERS, old="number = id_of(buyer, key)", new="number = id_of(buyer, None)"),
            _answers(
                "marketplace_service",
                'path == "/orders" and scope["method"] == "POST" and next(numbers) % 5 == 0',
                'await app(scope, receive, unheard); await Problem(503, "fragile", "lost").response()('
                "scope, receive, send)",
            ),
        ],
        holds=["no_acknowledged_order_lost", "stock_never_negative", "pickups_kept", "recovery_time"],
        cause="orders are there that no acknowledgement names",
    ),
    "stock_never_negative": Fragile(
        shown_by="all-are-killed",
        edits=[
            Edit(file=_ORDERS, old='                "stock": {"$gte": asked.quantity},\n', new=""),
            Edit(
                file=f"services/{MARKET}/src/marketplace_service/bodies.py",
                old="    stock: Pieces\n    waste_type: WasteType\n",
                new="    stock: int\n    waste_type: WasteType\n",
            ),
        ],
        holds=["no_acknowledged_order_lost", "no_order_doubled", "pickups_kept", "recovery_time"],
        cause=r"had -\d+ pieces",
    ),
    "pickups_kept": Fragile(
        shown_by="all-are-killed",
        edits=[
            _written_later(_PICKUPS, "self._pickups.insert_one(document)"),
            _read_later(_PICKUPS, '        field = "collector" if owner.role == "collector" else "owner"\n'),
        ],
        holds=[
            "no_acknowledged_order_lost",
            "no_order_doubled",
            "stock_never_negative",
            "recovery_time",
        ],
        cause="was acknowledged and is not there",
    ),
}
