"""Each checker: when it passes, when it fails, and that missing evidence is never PASS."""

from __future__ import annotations

from typing import Any

import pytest
from made_evidence import NEW, REUSED, T0, at, expected, probed, series, timeline

from slas.judge import CHECKERS, judge, outcome_exit_code, read_verdicts, write_verdicts
from slas.timeline import Timeline
from slas.verdicts import Bracket, Outcome, Verdict

ASKED = expected("downtime", end_s=9.99)
GOOD = {"requests": 100, "failures": 0, "latency_ms": {"3": 95, "20": 5}}
BOUNDS = {
    "acceptance": 1,
    "alert_latency": 60.0,
    "deploy_time": 30.0,
    "downtime": 0.0,
    "downtime_longest": 0.0,
    "error_ratio": 0.01,
    "invariant": 1,
    "latency_p95": 50.0,
    "latency_p99": 50.0,
    "recovery_time": 30.0,
    "rollback": 1.0,
    "rollback_time": 30.0,
    "steady_state": 1.0,
}


def judged(some: dict[str, list[dict[str, Any]]], *events: dict[str, Any]) -> Verdict:
    (verdict,) = judge(timeline(some, *events))
    return verdict


def load(*seconds: dict[str, Any], ended: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return nine seconds of load, with these differences, and its end."""
    differing = dict(enumerate(seconds))
    started = at(0, "load.started", workers=1, users=5)
    done = [at(i + 0.5, "load.second", **GOOD | differing.get(i, {})) for i in range(9)]
    end = {"exit_code": 0, "workers_lost": 0} | (ended or {})
    return [started, *done, at(9.6, "load.ended", **end)]


@pytest.mark.parametrize("sla", sorted(CHECKERS))
def test_no_data_is_never_pass(sla: str) -> None:
    """Of an empty run every SLA is INCONCLUSIVE, with a reason."""
    for events in ([], probed(NEW), load()[:1]):
        verdict = judged({}, *events, expected(sla, allowed=BOUNDS[sla]))
        assert verdict.verdict is Outcome.INCONCLUSIVE
        assert verdict.cause
        assert "crashed" not in verdict.cause


@pytest.mark.parametrize("sla", sorted(CHECKERS))
def test_a_scenario_that_could_not_be_carried_out_is_inconclusive(sla: str) -> None:
    """Its reason becomes the cause, whatever the evidence."""
    asked = expected(sla, allowed=BOUNDS[sla], details={"inconclusive": "no pod matched"})
    verdict = judged({NEW: series()}, *probed(NEW), *load(), asked)
    assert (verdict.verdict, verdict.cause) == (Outcome.INCONCLUSIVE, "no pod matched")


def test_zero_downtime_without_a_failed_probe_passes() -> None:
    """Both series good, dense and calibrated."""
    rows = {NEW: series(), REUSED: series(offset_s=0.005)}
    verdict = judged(rows, *probed(NEW, REUSED), ASKED)
    assert (verdict.verdict, verdict.measured) == (Outcome.PASS, Bracket(lower=0.0, upper=0.0))
    assert verdict.samples == 1998


def test_one_failed_probe_of_either_series_fails_zero_downtime() -> None:
    """A single error proves no length, but that the service was down."""
    rows = {NEW: series(), REUSED: series(offset_s=0.005)}
    rows[REUSED][500] |= {"outcome": "reset", "error": "ECONNRESET"}
    verdict = judged(rows, *probed(NEW, REUSED), ASKED)
    assert verdict.verdict is Outcome.FAIL
    assert verdict.measured == Bracket(lower=0.0, upper=pytest.approx(0.023, abs=1e-6))
    assert verdict.cause == "reset of a reused connection"
    (interval,) = verdict.evidence["intervals"]
    assert (interval["kind"], interval["samples"], interval["first_error"]) == ("reset", 1, "ECONNRESET")


def test_a_stall_is_downtime_and_shown_apart() -> None:
    """A slow answer is silence, for the whole wait less the normal service time."""
    verdict = judged({NEW: series([(2.0, 3.0)], "hang")}, *probed(NEW), ASKED)
    assert verdict.verdict is Outcome.FAIL
    assert isinstance(verdict.measured, Bracket)
    assert 0.98 < verdict.measured.lower <= 1.0 <= verdict.measured.upper < 1.02
    (stall,) = verdict.evidence["stalls"]
    assert (stall["kind"], stall["series"]) == ("stall", [NEW])


def test_a_lone_time_out_proves_the_wait_less_the_normal_service_time() -> None:
    """At a low rate no other probe contradicts it."""
    rows = [{"sent_s": T0 + i * 4.0, "finished_s": T0 + i * 4.0 + 0.01} for i in range(10)]
    rows[5] |= {"finished_s": rows[5]["sent_s"] + 2.0, "outcome": "timeout"}
    verdict = judged({NEW: rows}, *probed(NEW, rate=0.25), expected("downtime", allowed=1.0, end_s=37))
    assert verdict.verdict is Outcome.FAIL
    assert verdict.measured == Bracket(lower=pytest.approx(1.98), upper=pytest.approx(8.01))


def test_a_bound_within_the_bracket_is_inconclusive() -> None:
    """Between lower and upper nothing can be claimed; outside, it can."""
    rows = {NEW: series([(2.003, 3.0)])}
    outcomes = []
    for allowed in (0.9, 1.0, 1.1):
        verdict = judged(rows, *probed(NEW), expected("downtime", allowed=allowed, end_s=9.99))
        outcomes.append(verdict.verdict)
    assert outcomes == [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS]


def test_an_outage_seen_by_both_series_counts_once() -> None:
    """Overlapping outages of several series are one."""
    rows = {NEW: series([(2.0, 3.0)]), REUSED: series([(2.0, 3.0)], "reset", offset_s=0.005)}
    verdict = judged(rows, *probed(NEW, REUSED), ASKED)
    assert isinstance(verdict.measured, Bracket)
    assert 0.98 < verdict.measured.lower <= 1.0 <= verdict.measured.upper < 1.03
    assert verdict.evidence["outages"] == 1


def test_failures_of_the_runner_and_retries_are_no_downtime() -> None:
    """Neither fails the product; the runner's own lower the coverage."""
    rows = series()
    rows[300] |= {"outcome": "runner", "error": "EMFILE"}
    rows.append({"sent_s": T0 + 5.001, "finished_s": T0 + 5.002, "outcome": "reset", "retry": True})
    rows.sort(key=lambda row: row["sent_s"])
    assert judged({NEW: rows}, *probed(NEW), ASKED).verdict is Outcome.PASS
    for row in rows[100:115]:
        row["outcome"] = "runner"
    verdict = judged({NEW: rows}, *probed(NEW), ASKED)
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert "98." in str(verdict.cause)


def test_zero_downtime_needs_a_proved_resolution() -> None:
    """Without calibration, with one that missed, or with a coarser one, no failure proves nothing."""
    started = probed(NEW)[:1]
    result = {"series": NEW, "found": True, "resolution_s": 0.04, "mode": "reset"}
    for proof, verdict in (
        ([], Outcome.INCONCLUSIVE),
        ([at(-1, "calibration.result", **result | {"found": False})], Outcome.INCONCLUSIVE),
        ([at(-1, "calibration.result", **result | {"resolution_s": 0.2})], Outcome.INCONCLUSIVE),
        ([at(-1, "calibration.result", **result)], Outcome.PASS),
        ([at(-1, "calibration.result", **result | {"series": "control/new"})], Outcome.PASS),
    ):
        assert judged({NEW: series()}, *started, *proof, ASKED).verdict is verdict
    failing = {NEW: series([(2.0, 2.1)])}
    assert judged(failing, *started, ASKED).verdict is Outcome.FAIL


def test_calibration_over_the_products_path_outweighs_the_control_target() -> None:
    """The pod behind a Service proves what the product's series see, loopback only without one."""
    started = probed(NEW)[:1]
    seen = {"found": True, "resolution_s": 0.04, "mode": "reset"}
    control = at(-1, "calibration.result", series="control/new", **seen)
    by_control = at(-1, "calibration.result", series=NEW, by="control/new", **seen)
    path = at(-1, "calibration.result", series="calibration/new", **seen)
    missed = at(-1, "calibration.result", series=NEW, by="calibration/new", **seen | {"found": False})
    for proof, verdict in (
        ([path], Outcome.PASS),
        ([by_control], Outcome.PASS),
        ([control, path | {"series": "calibration/new@cluster"}], Outcome.INCONCLUSIVE),
        ([by_control, path | {"resolution_s": 0.2}], Outcome.INCONCLUSIVE),
        ([by_control, missed], Outcome.INCONCLUSIVE),
        ([path, at(-9, "calibration.result", series=NEW, **seen | {"found": False})], Outcome.PASS),
    ):
        assert judged({NEW: series()}, *started, *proof, ASKED).verdict is verdict


def test_a_blind_vantage_blinds_its_own_series_only() -> None:
    """What the pod inside the cluster saw stays certain while the runner was frozen, and vice versa."""
    inside = f"{NEW}@cluster"
    for name, vantage, lower_s in ((NEW, {}, 0.2), (inside, {"vantage": "cluster"}, 0.2)):
        frozen = at(9, "control.blind", start_s=T0 + 2.2, end_s=T0 + 3.0, **vantage)
        asked = expected("downtime", allowed=5.0, end_s=9.99, details={"series": name})
        verdict = judged({name: series([(2.0, 3.0)])}, *probed(name), frozen, asked)
        assert isinstance(verdict.measured, Bracket)
        assert verdict.measured.lower == pytest.approx(lower_s, abs=0.02)
        other = {inside: NEW, NEW: inside}[name]
        asked = expected("downtime", allowed=5.0, end_s=9.99, details={"series": other})
        verdict = judged({other: series([(2.0, 3.0)])}, *probed(other), frozen, asked)
        assert isinstance(verdict.measured, Bracket)
        assert verdict.measured.lower == pytest.approx(1.0, abs=0.02)
        asked = expected("downtime", allowed=5.0, end_s=9.99, details={"series": [name, other]})
        rows = {name: series([(2.0, 3.0)]), other: series([(2.0, 3.0)])}
        both = judged(rows, *probed(name, other), frozen, asked)
        assert isinstance(both.measured, Bracket)
        assert both.measured.lower == pytest.approx(1.0, abs=0.02)


def test_a_blind_spot_longer_than_the_resolution_is_inconclusive() -> None:
    """Zero cannot be claimed of a time in which nothing was sent, or the runner was frozen."""
    rows = series(rate=1000.0)
    gap = [row for row in rows if not T0 + 4 <= row["sent_s"] < T0 + 4.15]
    kept = expected("downtime", end_s=9.99, details={"series": NEW, "rate": 1000.0})
    long_run = [
        *gap,
        *[row | {"sent_s": row["sent_s"] + 10, "finished_s": row["finished_s"] + 10} for row in rows],
    ]
    verdict = judged({NEW: long_run}, *probed(NEW, rate=1000.0), kept | {"end_s": T0 + 19.99})
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert "nothing was seen for 0.151 s" in str(verdict.cause)
    frozen = at(6, "control.blind", start_s=T0 + 5, end_s=T0 + 5.2)
    assert judged({NEW: rows}, *probed(NEW, rate=1000.0), frozen, kept).verdict is Outcome.INCONCLUSIVE
    assert judged({NEW: rows}, *probed(NEW, rate=1000.0), kept).verdict is Outcome.PASS


def test_a_wait_that_the_runner_slept_through_is_no_stall() -> None:
    """A frozen runner times out by itself when it wakes up."""
    rows = series()
    rows[500] |= {"finished_s": rows[500]["sent_s"] + 2.0, "outcome": "timeout"}
    frozen = at(9, "control.blind", start_s=rows[500]["sent_s"], end_s=rows[500]["sent_s"] + 1.99)
    asked = expected("downtime", allowed=2.5, end_s=9.99)
    assert judged({NEW: rows}, *probed(NEW), asked).evidence["failed"] == 1
    assert judged({NEW: rows}, *probed(NEW), frozen, asked).evidence["failed"] == 0


def test_nothing_is_certain_while_the_runner_was_blind() -> None:
    """Two outages with a blind span between them are not one certain outage."""
    rows = [row for row in series([(2.0, 2.5), (5.5, 6.0)]) if not T0 + 2.4 <= row["sent_s"] < T0 + 5.6]
    frozen = at(9, "control.blind", start_s=T0 + 2.4, end_s=T0 + 5.6)
    runner = [{"sent_s": 0.0, "scheduled_s": T0 + 4, "finished_s": T0 + 4, "outcome": "runner"}]
    filled = sorted(series([(2.0, 6.0)]), key=lambda row: row["sent_s"])
    filled = [row | {"outcome": "runner"} if 2.4 <= row["sent_s"] - T0 < 5.6 else row for row in filled]
    for some, events in ((rows, []), (series([(2.0, 6.0)]), [frozen]), (rows + runner, []), (filled, [])):
        asked = expected("downtime", allowed=5.0, end_s=9.99)
        some.sort(key=lambda row: row.get("scheduled_s", row["sent_s"]))
        verdict = judged({NEW: some}, *probed(NEW), *events, asked)
        assert isinstance(verdict.measured, Bracket)
        assert 0.7 < verdict.measured.lower < 0.81
        assert verdict.measured.upper > 4.0


def test_a_runner_failure_amid_failures_leaves_the_time_around_it_uncertain() -> None:
    """The two ticks that it separates prove nothing about the time between them."""
    rows = series([(2.0, 2.1)])
    lowers = []
    for outcome in ("refused", "runner"):
        rows[205]["outcome"] = outcome
        verdict = judged({NEW: rows}, *probed(NEW), ASKED)
        assert isinstance(verdict.measured, Bracket)
        lowers.append(verdict.measured.lower)
    assert lowers[0] - lowers[1] == pytest.approx(0.023, abs=1e-6)


def test_retries_do_not_count_as_coverage() -> None:
    """They are no scheduled ticks, however many there are."""
    rows = [row | {"retry": index % 2 == 1} for index, row in enumerate(series())]
    verdict = judged({NEW: rows}, *probed(NEW), ASKED)
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert "50." in str(verdict.cause)


def test_a_series_that_is_named_but_absent_is_inconclusive() -> None:
    """Half of the evidence is not all of it."""
    asked = expected("downtime", end_s=9.99, details={"series": [NEW, REUSED]})
    verdict = judged({NEW: series()}, *probed(NEW, REUSED), asked)
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert f"no samples of {REUSED}" in str(verdict.cause)


def test_latency_is_the_nearest_rank_of_every_probe() -> None:
    """Of answers that take 1 to 100 ms alike, the 95th percentile is 95 ms by definition."""
    rows = series(service_s=[(i + 1) / 1000 for i in range(100)])
    for sla, allowed, outcome, measured in (
        ("latency_p95", 95.0, Outcome.PASS, 95.0),
        ("latency_p95", 94.0, Outcome.FAIL, 95.0),
        ("latency_p99", 99.0, Outcome.PASS, 99.0),
    ):
        verdict = judged({NEW: rows}, *probed(NEW), expected(sla, allowed=allowed + 1e-3))
        assert verdict.verdict is outcome
        assert verdict.measured == pytest.approx(measured)


def test_latency_of_few_samples_is_not_judged() -> None:
    """A p99 needs five hundred, a p95 a hundred."""
    rows = {NEW: series(length_s=4.0)}
    few = expected("latency_p99", allowed=50.0, end_s=4.0)
    assert judged(rows, *probed(NEW), few).verdict is Outcome.INCONCLUSIVE
    enough = expected("latency_p95", allowed=50.0, end_s=4.0)
    assert judged(rows, *probed(NEW), enough).verdict is Outcome.PASS


def test_fast_errors_do_not_flatter_the_latency() -> None:
    """A failed request counts as slow as its time-out."""
    verdict = judged({NEW: series([(1.0, 3.0)])}, *probed(NEW), expected("latency_p95", allowed=50.0))
    assert (verdict.verdict, verdict.measured) == (Outcome.FAIL, 2000.0)


def test_latency_of_a_load_without_samples_is_not_judged() -> None:
    """Seconds have rounded latencies only: a run of the older format proves no percentile."""
    asked = expected("latency_p95", allowed=3.0, details={"source": "load"})
    verdict = judged({}, *load(), asked)
    assert (verdict.verdict, verdict.cause) == (Outcome.INCONCLUSIVE, "this run keeps no samples of its load")


def test_error_ratio_needs_enough_requests_to_resolve_its_bound() -> None:
    """No failure in 298 does not show 1 %, none in 299 does; too few fail only if they do so for certain."""
    for requests, failures, allowed, outcome in (
        (298, 0, 0.01, Outcome.INCONCLUSIVE),
        (299, 0, 0.01, Outcome.PASS),
        (299, 3, 0.01, Outcome.FAIL),
        (50, 0, 0.01, Outcome.INCONCLUSIVE),
        (50, 1, 0.01, Outcome.INCONCLUSIVE),
        (50, 3, 0.01, Outcome.FAIL),
        (298, 0, 0.0, Outcome.INCONCLUSIVE),
        (299, 0, 0.0, Outcome.PASS),
        (5, 1, 0.0, Outcome.FAIL),
        (1, 0, 1.0, Outcome.PASS),
    ):
        seconds = load(*[{"requests": 0}] * 8, {"requests": requests, "failures": failures})
        verdict = judged({}, *seconds, expected("error_ratio", allowed=allowed))
        assert (verdict.verdict, verdict.samples) == (outcome, requests)
        stated = verdict.evidence["proportion"]
        assert stated["at_least"] <= stated["ratio"] <= stated["at_most"]
        if not failures:
            assert stated["at_most"] == pytest.approx(1 - 0.05 ** (1 / requests))


def test_downtime_states_what_its_looks_show() -> None:
    """No failure in N is a bound on the ratio, not zero; total and longest are there whatever is judged."""
    asked = [expected(sla, allowed=0.5, end_s=9.99) for sla in ("downtime", "downtime_longest")]
    total, longest = judge(timeline({NEW: series([(2.0, 2.4), (5.0, 5.3)])}, *probed(NEW), *asked))
    assert (total.verdict, longest.verdict) == (Outcome.FAIL, Outcome.PASS)
    assert isinstance(total.measured, Bracket)
    assert isinstance(longest.measured, Bracket)
    assert 0.67 < total.measured.lower <= 0.7 <= total.measured.upper < 0.73
    assert 0.38 < longest.measured.lower <= 0.4 <= longest.measured.upper < 0.42
    for verdict in (total, longest):
        assert verdict.evidence["total"]["lower"] == total.measured.lower
        assert verdict.evidence["longest"]["upper"] == longest.measured.upper
    good = judged({NEW: series()}, *probed(NEW), ASKED)
    assert good.evidence["looks"]["at_most"] == pytest.approx(1 - 0.05 ** (1 / 999))


def test_the_longest_outage_may_hide_where_nobody_looked() -> None:
    """A gap of the runner is no outage, but one as long may lie in it."""
    rows = [row for row in series() if not T0 + 4 <= row["sent_s"] < T0 + 4.4]
    asked = expected("downtime_longest", allowed=0.3, end_s=9.99)
    verdict = judged({NEW: rows}, *probed(NEW), asked | {"resolution_s": 0.1})
    assert isinstance(verdict.measured, Bracket)
    assert (verdict.verdict, verdict.measured.lower) == (Outcome.INCONCLUSIVE, 0.0)
    assert verdict.measured.upper > 0.4


def test_error_ratio_of_the_load() -> None:
    """Failed by all requests of the window."""
    asked = expected("error_ratio", allowed=0.01)
    passing = judged({}, *load({"failures": 9}), asked)
    assert (passing.verdict, passing.measured, passing.samples) == (Outcome.PASS, 0.01, 900)
    assert judged({}, *load({"failures": 10}), asked).verdict is Outcome.FAIL
    named = asked | {"details": {"load_id": "l1", "series": [NEW]}}
    mine = [event | {"load_id": "l1"} for event in load({"failures": 10})]
    assert judged({NEW: series()}, *probed(NEW), *mine, named).measured == pytest.approx(10 / 900)
    assert judged({NEW: series()}, *probed(NEW), *load(), named).verdict is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    "events",
    [
        load(*[{"requests": 0}] * 9),
        load(ended={"workers_lost": 1}),
        load(ended={"exit_code": 1}),
        load()[:-1],
        load()[1:],
    ],
    ids=["zero requests", "lost worker", "bad exit", "killed", "never started"],
)
def test_a_load_that_proves_nothing_is_inconclusive(events: list[dict[str, Any]]) -> None:
    """However good its numbers look."""
    for sla in ("error_ratio", "steady_state"):
        verdict = judged({NEW: series()}, *probed(NEW), *events, expected(sla, allowed=0.5, end_s=9.99))
        assert verdict.verdict is Outcome.INCONCLUSIVE


def test_error_ratio_of_the_probes() -> None:
    """Runner failures apart, stalls are answers; thin coverage is INCONCLUSIVE."""
    rows = series([(2.0, 2.5)])
    asked = expected("error_ratio", allowed=0.04, end_s=9.99, details={"series": [NEW]})
    verdict = judged({NEW: rows}, *probed(NEW), asked)
    assert (verdict.verdict, verdict.measured) == (Outcome.FAIL, pytest.approx(50 / 999, abs=1e-4))
    assert judged({NEW: rows[:900]}, *probed(NEW), asked).verdict is Outcome.INCONCLUSIVE


def test_steady_state_needs_service_without_failure() -> None:
    """Requests served, no failed probe, the load's errors within the bound."""
    asked = expected("steady_state", allowed=1.0, end_s=9.99)
    rows = {NEW: series()}
    assert judged(rows, *probed(NEW), *load(), asked).verdict is Outcome.PASS
    assert judged(rows, *probed(NEW), *load({"failures": 1}), asked).verdict is Outcome.FAIL
    lenient = asked | {"details": {"error_ratio": 0.01}}
    assert judged(rows, *probed(NEW), *load({"failures": 1}), lenient).verdict is Outcome.PASS
    failing = {NEW: series([(2.0, 2.1)])}
    assert judged(failing, *probed(NEW), *load(), asked).verdict is Outcome.FAIL


def release(second: float, **more: Any) -> dict[str, Any]:
    return at(second, "release.started", service="auth-service", action="upgrade", **more)


def ended(second: float, **more: Any) -> dict[str, Any]:
    return at(second, "release.ended", service="auth-service", action="upgrade", **{"ok": True} | more)


def serving(second: float, revision: int, digest: str = "sha256:a") -> dict[str, Any]:
    return at(second, "release.serving", service="auth-service", revision=revision, digest=digest, replicas=2)


def state(
    second: float, when: str, revision: int, digest: str = "sha256:a", manifest: str = "m"
) -> dict[str, Any]:
    return at(
        second,
        "release.state",
        service="auth-service",
        when=when,
        revision=revision,
        digests=[digest],
        manifest_sha256=manifest,
    )


def test_deploy_time_ends_when_the_new_revision_serves() -> None:
    """Not when Helm returns; another revision's serving does not count."""
    asked = expected("deploy_time", allowed=5.0, details={"revision": 2})
    events = [release(1), serving(2, 1), ended(3, revision=2), serving(5, 2)]
    verdict = judged({}, *events, asked)
    assert (verdict.verdict, verdict.measured) == (Outcome.PASS, pytest.approx(4.0))
    assert judged({}, *events, asked | {"allowed": 3.0}).verdict is Outcome.FAIL
    assert judged({}, *events[:-1], asked).verdict is Outcome.FAIL
    assert judged({}, release(1), asked).verdict is Outcome.INCONCLUSIVE


def test_a_failed_release_fails_its_deploy_time() -> None:
    """However quickly it failed; its error is the cause."""
    verdict = judged(
        {}, release(1), ended(2, ok=False, error="timed out"), expected("deploy_time", allowed=30)
    )
    assert verdict.verdict is Outcome.FAIL
    assert "timed out" in str(verdict.cause)


def test_the_recovery_from_a_fault_that_lasts_runs_from_its_healing() -> None:
    """How long it lasted was chosen, and is no part of it; a kill beside it counts from its landing."""
    cut = {"fault": "node_cut", "fault_id": "f1"}
    events = [
        at(1, "fault.selected", **cut, targets=[{"pod": "a"}]),
        at(2, "fault.injected", **cut),
        at(2.5, "fault.proved", **cut),
        at(6, "fault.healing", **cut),
        at(6.5, "fault.healed", **cut, by="harness"),
        at(8, "fault.recovered", **cut),
    ]
    since = {"since": "healed"}
    asked = expected("recovery_time", allowed=3, details=since)
    assert judged({}, *events, asked).measured == Bracket(lower=1.5, upper=2.0)
    assert judged({}, *events[:4], asked).verdict is Outcome.INCONCLUSIVE
    killed = [
        {**event, "fault_id": "f2", "by": "kubernetes"} for event in events if "healing" not in event["kind"]
    ]
    assert judged({}, *killed, asked).measured == Bracket(lower=5.5, upper=6.0)


def test_recovery_time_runs_from_the_landing_to_full_strength() -> None:
    """It is a bracket, since the fault landed between injection and proof."""
    one = {"fault": "pod_delete", "fault_id": "f1"}
    events = [
        at(1, "fault.selected", **one, targets=["p"]),
        at(2, "fault.injected", **one),
        at(2.5, "fault.proved", **one, evidence={}),
        at(6, "fault.recovered", **one, evidence={}),
    ]
    outcomes = [
        judged({}, *events, expected("recovery_time", allowed=allowed)).verdict for allowed in (3.4, 3.8, 4.0)
    ]
    assert outcomes == [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS]
    assert judged({}, *events, expected("recovery_time")).measured == Bracket(lower=3.5, upper=4.0)
    never = judged({}, *events[:-1], expected("recovery_time", allowed=5.0))
    assert (never.verdict, never.measured) == (Outcome.FAIL, 7.5)


@pytest.mark.parametrize(
    "events",
    [
        [("fault.selected", {"targets": []})],
        [("fault.selected", {"targets": ["p"]}), ("fault.injected", {})],
        [("fault.injected", {}), ("fault.failed", {"reason": "no pod matched"})],
        [("fault.injected", {}), ("fault.recovered", {})],
    ],
    ids=["no target", "not proved", "failed", "recovered from nothing"],
)
def test_a_fault_that_was_not_seen_landing_is_inconclusive(events: list[tuple[str, dict[str, Any]]]) -> None:
    """A recovery from nothing is no recovery."""
    made = [
        at(i, kind, fault="pod_delete", fault_id="f1", **more) for i, (kind, more) in enumerate(events, 1)
    ]
    assert judged({}, *made, expected("recovery_time", allowed=60)).verdict is Outcome.INCONCLUSIVE


def test_a_rollback_restores_state_and_serving_digest() -> None:
    """Manifests and digests as before, and the old digest serving as the restored revision."""
    kept = [state(0.5, "before", 1), release(1), ended(4, ok=False, error="not ready"), state(5, "after", 3)]
    asked = [expected("rollback", allowed=1.0), expected("rollback_time", allowed=6.0)]
    assert [one.verdict for one in judge(timeline({}, *kept, serving(6, 3), *asked))] == [Outcome.PASS] * 2
    (_, took) = judge(timeline({}, *kept, serving(2, 1), serving(6, 3), *asked))
    assert took.measured == pytest.approx(5.0)
    (held, _) = judge(timeline({}, *kept, *asked))
    assert held.verdict is Outcome.INCONCLUSIVE
    (held, _) = judge(timeline({}, *kept, serving(6, 3, "sha256:b"), *asked))
    assert held.verdict is Outcome.FAIL


@pytest.mark.parametrize(
    "changed", [{"digest": "sha256:b"}, {"manifest": "other"}], ids=["digest", "manifest"]
)
def test_a_release_that_was_not_rolled_back_fails(changed: dict[str, str]) -> None:
    """What differs from before is named."""
    events = [
        state(0.5, "before", 1),
        release(1),
        ended(4, ok=False),
        state(5, "after", 2, **changed),
        serving(6, 2),
    ]
    asked = [expected("rollback", allowed=1.0), expected("rollback_time", allowed=60.0)]
    assert [one.verdict for one in judge(timeline({}, *events, *asked))] == [Outcome.FAIL] * 2


def test_a_good_release_proves_no_rollback() -> None:
    """The same state before and after a release that succeeded shows nothing."""
    events = [state(0.5, "before", 1), release(1), ended(4), state(5, "after", 2), serving(6, 2)]
    asked = [expected("rollback", allowed=1.0), expected("rollback_time", allowed=60.0)]
    assert [one.verdict for one in judge(timeline({}, *events, *asked))] == [Outcome.INCONCLUSIVE] * 2


def test_what_cannot_be_judged_is_inconclusive_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown SLA, a malformed expectation, a wrong unit, a crashing checker."""

    def crash(*_: object) -> Verdict:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("slas.judge.CHECKERS", {**CHECKERS, "rto": crash})
    broken = expected("downtime")
    del broken["allowed"]
    asked = [
        expected("rpo"),
        broken,
        expected("downtime", unit="ms"),
        expected("downtime", allowed=float("nan")),
        expected("rto"),
    ]
    verdicts = judge(Timeline.of(events=asked))
    assert [one.verdict for one in verdicts] == [Outcome.INCONCLUSIVE] * 5
    causes = [str(one.cause) for one in verdicts]
    for cause, word in zip(causes, ("no checker", "allowed", "unit", "finite", "boom"), strict=True):
        assert word in cause


def test_the_exit_code_follows_the_worst_verdict(tmp_path: Any) -> None:
    """Nothing judged is no success; what was judged is read back as it was written."""
    passing = judged({NEW: series()}, *probed(NEW), ASKED)
    failing = judged({NEW: series([(2.0, 2.1)])}, *probed(NEW), ASKED)
    unsure = judged({}, ASKED)
    assert outcome_exit_code([]) == 3
    assert outcome_exit_code([passing]) == 0
    assert outcome_exit_code([passing, unsure]) == 3
    assert outcome_exit_code([passing, unsure, failing]) == 1
    write_verdicts(tmp_path, [passing, failing, unsure])
    assert read_verdicts(tmp_path) == [passing, failing, unsure]
