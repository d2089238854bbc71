"""The checkers against a plain second implementation, on random timelines; and each property sabotaged."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import naive
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from made_evidence import NEW, REUSED, T0, at, expected, probed, timeline
from naive import Look

import slas.checkers.deploy_time
import slas.checkers.error_ratio
import slas.checkers.latency
import slas.checkers.recovery_time
import slas.downtime
from slas.judge import judge
from slas.verdicts import Bracket, Outcome, Verdict

QUICK = settings(max_examples=40, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
EXACT = 1e-6
ORDER = list(Outcome)
OUTCOMES = ("ok", "refused", "reset", "status", "body")


@st.composite
def series(draw: st.DrawFn, least: int = 40, most: int = 120) -> list[Look]:
    """Draw an open-loop series at 100/s: answers take 1 to 8 ms, failures come alone and in rows."""
    count = draw(st.integers(least, most))
    offset = draw(st.integers(0, 9))
    waits = draw(st.lists(st.integers(1, 8), min_size=count, max_size=count))
    outcomes = ["ok"] * count
    for first, length, outcome in draw(
        st.lists(
            st.tuples(st.integers(0, count - 1), st.integers(1, 15), st.sampled_from(OUTCOMES[1:])),
            max_size=4,
        )
    ):
        outcomes[first : first + length] = [outcome] * len(outcomes[first : first + length])
    return [
        Look(10 * i + offset, 10 * i + offset + wait, outcome)
        for i, (wait, outcome) in enumerate(zip(waits, outcomes, strict=True))
    ]


def rows(looks: list[Look]) -> list[dict[str, Any]]:
    """Return looks as samples: milliseconds count from T0."""
    return [
        {"sent_s": T0 + look.sent / 1000, "finished_s": T0 + look.ended / 1000, "outcome": look.outcome}
        for look in looks
    ]


def judged(some: dict[str, list[Look]], *events: dict[str, Any]) -> Verdict:
    (verdict,) = judge(timeline({name: rows(looks) for name, looks in some.items()}, *events))
    return verdict


@QUICK
@given(looks=series(), window=st.tuples(st.integers(0, 150), st.integers(200, 390)))
def check_error_ratio(looks: list[Look], window: tuple[int, int]) -> None:
    """Failed and all, counted one by one."""
    start, end = window
    asked = expected("error_ratio", allowed=0.5, end_s=end / 1000, details={"series": NEW})
    # Between two milliseconds, so that no sample lies on the edge.
    asked["start_s"], asked["end_s"] = T0 + start / 1000 - 0.0005, T0 + end / 1000 - 0.0005
    verdict = judged({NEW: looks}, *probed(NEW), asked)
    failed, count = naive.failed_of(looks, start, end)
    assert (verdict.evidence["failures"], verdict.evidence["requests"]) == (failed, count)
    assert verdict.measured == failed / count


@QUICK
@given(looks=series(least=110, most=160), seed=st.integers(0, 999))
def check_percentile(looks: list[Look], seed: int) -> None:
    """Find the smallest wait that enough waits do not exceed, where no two are alike."""
    waits = random.Random(seed).sample(range(1, 240), len(looks))
    looks = [look._replace(ended=look.sent + wait) for look, wait in zip(looks, waits, strict=True)]
    verdict = judged({NEW: looks}, *probed(NEW), expected("latency_p95", allowed=1.0, end_s=1.095))
    exact = naive.percentile(looks, 0, 1095, 95, 2000)
    assert isinstance(verdict.measured, float)
    assert abs(verdict.measured - exact) < 1e-3


@QUICK
@given(
    some=st.lists(series(), min_size=1, max_size=2),
    blind=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), max_size=2),
    window=st.tuples(st.integers(0, 100), st.integers(250, 390)),
)
def check_downtime(some: list[list[Look]], blind: list[tuple[int, int]], window: tuple[int, int]) -> None:
    """Bracket of the total and of the longest, coloured millisecond by millisecond."""
    start, end = window
    names = (NEW, REUSED)[: len(some)]
    hidden = [(begin, begin + length) for begin, length in blind]
    events = [
        at(9, "control.blind", start_s=T0 + begin / 1000, end_s=T0 + over / 1000) for begin, over in hidden
    ]
    span = {"start_s": T0 + start / 1000, "end_s": T0 + end / 1000, "details": {"series": list(names)}}
    asked = [expected(sla, allowed=0.05) | span for sla in ("downtime", "downtime_longest")]
    samples = {name: rows(looks) for name, looks in zip(names, some, strict=True)}
    total, longest = (one.measured for one in judge(timeline(samples, *probed(*names), *events, *asked)))
    exact = naive.down(some, hidden, start, end)
    assert isinstance(total, Bracket)
    assert isinstance(longest, Bracket)
    measured = (total.lower, total.upper, longest.lower, longest.upper)
    assert [round(seconds * 1000, 3) for seconds in measured] == list(exact)


@QUICK
@given(
    started=st.integers(0, 100),
    serving=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 3)), max_size=5),
    allowed=st.integers(1, 300),
)
def check_deploy_time(started: int, serving: list[tuple[int, int]], allowed: int) -> None:
    """From the start until the release's own revision serves, however many others do before."""
    events: list[dict[str, Any]] = [
        {"ms": started, "kind": "release.started", "revision": 2, "action": "upgrade"}
    ]
    events += [{"ms": ms, "kind": "release.serving", "revision": number} for ms, number in serving]
    told = [{"service": "auth-service", **event, "t": T0 + event["ms"] / 1000} for event in events]
    end = at(0.5, "release.ended", service="auth-service", action="upgrade", ok=True, revision=2)
    asked = expected("deploy_time", allowed=allowed / 1000 + EXACT, end_s=1.0)
    verdict = judged({}, *told, end, asked)
    exact = naive.deploy_time(events, 0, 1000)
    if exact is None:
        assert verdict.verdict is Outcome.FAIL
        return
    assert isinstance(verdict.measured, float)
    assert abs(verdict.measured * 1000 - exact) < 1e-3
    assert verdict.verdict is (Outcome.PASS if exact <= allowed else Outcome.FAIL)


@QUICK
@given(
    moments=st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(100, 400)),
    allowed=st.integers(1, 400),
)
def check_recovery_time(moments: tuple[int, int, int], allowed: int) -> None:
    """At least from the proof, at most from the injection."""
    injected, lag, recovered = moments
    proved = injected + lag
    recovered += proved
    kinds = ("fault.injected", "fault.proved", "fault.recovered")
    events = [
        at(ms / 1000, kind, fault="f", fault_id="1")
        for kind, ms in zip(kinds, (injected, proved, recovered), strict=True)
    ]
    verdict = judged({}, *events, expected("recovery_time", allowed=allowed / 1000 + EXACT, end_s=1.0))
    shortest, longest = naive.recovery_time(injected, proved, recovered)
    assert isinstance(verdict.measured, Bracket)
    measured = (verdict.measured.lower * 1000, verdict.measured.upper * 1000)
    assert measured == pytest.approx((shortest, longest), abs=1e-3)
    wanted = (
        Outcome.PASS if longest <= allowed else Outcome.FAIL if shortest > allowed else Outcome.INCONCLUSIVE
    )
    assert verdict.verdict is wanted


@QUICK
@given(
    looks=series(least=550, most=600),
    allowed=st.sampled_from([0.0, 0.02, 0.1]),
    flipped=st.lists(st.integers(0, 549), min_size=1, max_size=20),
    becomes=st.sampled_from(OUTCOMES[1:]),
    sla=st.sampled_from(
        ["downtime", "downtime_longest", "latency_p95", "latency_p99", "error_ratio", "steady_state"]
    ),
)
def check_worse_is_never_better(
    *, looks: list[Look], allowed: float, flipped: list[int], becomes: str, sla: str
) -> None:
    """Turn good probes into failed ones: no verdict moves towards PASS."""
    worse = list(looks)
    for index in flipped:
        worse[index] = worse[index]._replace(
            outcome=becomes if worse[index].outcome == "ok" else worse[index].outcome
        )
    bound = 10.0 if sla.startswith("latency") else allowed
    details = {"series": NEW, "source": "probes"}
    asked = expected(sla, allowed=bound, end_s=5.49, details=details)
    before, after = (judged({NEW: some}, *probed(NEW), asked).verdict for some in (looks, worse))
    assert ORDER.index(after) <= ORDER.index(before)


@QUICK
@given(
    seconds=st.lists(st.tuples(st.integers(20, 120), st.integers(0, 3)), min_size=4, max_size=9),
    more=st.lists(st.integers(0, 8), min_size=1, max_size=10),
    allowed=st.sampled_from([0.0, 0.01, 0.1]),
    sla=st.sampled_from(["error_ratio", "steady_state"]),
)
def check_worse_load_is_never_better(
    seconds: list[tuple[int, int]], more: list[int], allowed: float, sla: str
) -> None:
    """Turn good requests of the load into failed ones: no verdict moves towards PASS."""
    worse = list(seconds)
    for index in more:
        requests, failures = worse[index % len(worse)]
        worse[index % len(worse)] = (requests, min(requests, failures + 1))

    def verdict(some: list[tuple[int, int]]) -> Outcome:
        told = [
            at(i + 0.5, "load.second", requests=requests, failures=failures)
            for i, (requests, failures) in enumerate(some)
        ]
        ended = at(9.6, "load.ended", exit_code=0, workers_lost=0)
        asked = expected(sla, allowed=allowed, end_s=9.99, details={"error_ratio": allowed, "source": "load"})
        good = [Look(10 * i, 10 * i + 3, "ok") for i in range(1000)]
        return judged({NEW: good}, *probed(NEW), at(0, "load.started"), *told, ended, asked).verdict

    assert ORDER.index(verdict(worse)) <= ORDER.index(verdict(seconds))


@QUICK
@given(looks=series(least=100), cut=st.integers(20, 900))
def check_cutting_hides_nothing(looks: list[Look], cut: int) -> None:
    """Compare the longest outage of the whole with what the parts, cut within one, have of it together."""
    end = 10 * len(looks) - 10
    failed = [look.sent for look in looks if look.outcome != "ok"]
    cut = min(failed[cut % len(failed)] + 3 if failed else cut, end - 10)

    def longest(start: int, over: int) -> Bracket:
        span = {"start_s": T0 + start / 1000, "end_s": T0 + over / 1000}
        asked = expected("downtime_longest", allowed=0.05) | span
        measured = judged({NEW: looks}, *probed(NEW), asked).measured
        assert isinstance(measured, Bracket)
        return measured

    whole, parts = longest(0, end), [longest(0, cut), longest(cut, end)]
    assert sum(part.lower for part in parts) >= whole.lower - EXACT
    assert sum(part.upper for part in parts) >= whole.upper - EXACT


PROPERTIES: dict[str, Callable[[], None]] = {
    "error ratio": check_error_ratio,
    "percentile": check_percentile,
    "downtime": check_downtime,
    "deploy time": check_deploy_time,
    "recovery time": check_recovery_time,
    "worse is never better": check_worse_is_never_better,
    "worse load is never better": check_worse_load_is_never_better,
    "cutting hides nothing": check_cutting_hides_nothing,
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_checkers_agree_with_brute_force(name: str) -> None:
    """Each property holds on random timelines."""
    PROPERTIES[name]()


def _fewer_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    true = slas.checkers.error_ratio.failed_in_window
    monkeypatch.setattr(
        slas.checkers.error_ratio, "failed_in_window", lambda *which: (true(*which)[0] // 2, true(*which)[1])
    )


def _rank_below(monkeypatch: pytest.MonkeyPatch) -> None:
    true = slas.checkers.latency.nearest_rank
    monkeypatch.setattr(slas.checkers.latency, "nearest_rank", lambda *which: true(*which) - 1)


def _outages_from_the_end_of_the_last_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take an outage to begin when the last good answer came, which is the classical mistake."""
    true = slas.downtime.find_outages

    def broken(*which: Any, **more: Any) -> Any:
        found = true(*which, **more)
        return replace(found, upper=found.upper + np.array([0.001, 0.0]))

    monkeypatch.setattr(slas.downtime, "find_outages", broken)


def _certain_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    true = slas.downtime.find_outages

    def broken(*which: Any, **more: Any) -> Any:
        found = true(*which, **more)
        return replace(found, certain=found.certain + np.array([0.0, 0.001]))

    monkeypatch.setattr(slas.downtime, "find_outages", broken)


def _any_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    true = slas.checkers.deploy_time.releases_of

    def broken(*which: Any, **more: Any) -> Any:
        found = true(*which, **more)
        return [replace(one, serving=one.servings[0] if one.servings else None) for one in found]

    monkeypatch.setattr(slas.checkers.deploy_time, "releases_of", broken)


def _recovery_from_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        slas.checkers.recovery_time,
        "Bracket",
        lambda *, lower, upper: Bracket(lower=lower, upper=min(lower, upper)),
    )


def _parity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the wrong thing: whether the count of failures is even."""
    true = slas.judge.CHECKERS

    def broken(sla: str) -> Callable[..., Verdict]:
        def check(*which: Any) -> Verdict:
            found = true[sla](*which)
            failed = found.evidence.get("failed", found.evidence.get("failures", 0))
            return replace(found, verdict=Outcome.FAIL if int(failed) % 2 else Outcome.PASS)

        return check

    monkeypatch.setattr("slas.judge.CHECKERS", {sla: broken(sla) for sla in true})


def _edges_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out outages that reach over the window's edge, which is the other one."""
    true = slas.downtime.clip

    def broken(spans: Any, start_s: float, end_s: float) -> Any:
        inside = spans[(spans[:, 0] >= start_s) & (spans[:, 1] <= end_s)]
        return true(inside, start_s, end_s)

    monkeypatch.setattr(slas.downtime, "clip", broken)


@pytest.mark.parametrize(
    ("sabotage", "name"),
    [
        (_fewer_failures, "error ratio"),
        (_rank_below, "percentile"),
        (_outages_from_the_end_of_the_last_good, "downtime"),
        (_certain_too_long, "downtime"),
        (_any_revision, "deploy time"),
        (_recovery_from_the_proof, "recovery time"),
        (_parity, "worse is never better"),
        (_parity, "worse load is never better"),
        (_edges_dropped, "cutting hides nothing"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__.strip("_"),
)
def test_a_broken_checker_is_caught(
    monkeypatch: pytest.MonkeyPatch, sabotage: Callable[[pytest.MonkeyPatch], None], name: str
) -> None:
    """By its property, which is red then."""
    sabotage(monkeypatch)
    with pytest.raises(AssertionError):
        PROPERTIES[name]()
