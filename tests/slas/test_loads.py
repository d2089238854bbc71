"""A load in a window: what its samples say, and what makes them worth nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_evidence import T0, at, expected, timeline

from slas.judge import judge
from slas.load_latency import latency_of
from slas.loads import load_between
from slas.spans import spans_of
from slas.thresholds import Threshold
from slas.verdicts import Outcome, Verdict

SERIES = "load:l1/GET /verify"
LOAD = {"source": "load", "load_id": "l1"}
ASKED = {
    "error_ratio": expected("error_ratio", allowed=0.01, details=LOAD),
    "latency_p95": expected("latency_p95", allowed=50.0, details=LOAD),
    "latency_p99": expected("latency_p99", allowed=50.0, details=LOAD),
}


def row(due_s: float, took_s: float = 0.005, late_s: float = 0.0, **more: Any) -> dict[str, Any]:
    """Return a request due at T0 + `due_s`, sent `late_s` after and answered `took_s` after that."""
    sent_s = T0 + due_s + late_s
    return {"scheduled_s": T0 + due_s, "sent_s": sent_s, "finished_s": sent_s + took_s, **more}


ROWS = [row(0.01 + 0.02 * i) for i in range(500)]


def record(rows: int = 500, **over: Any) -> list[dict[str, Any]]:
    """Return the events of ten seconds of load at 50/s; `over` changes every second or, `ended`, the end."""
    ended = {"exit_code": 0, "workers_lost": 0, "rows": rows} | over.pop("ended", {})
    second = {"requests": 50, "achieved": 50, "offered": 50, "cpu": 0.4, "workers": 2, "span_s": 1.0} | over
    return [
        at(-1, "load.started", load_id="l1", workers=2, timeout_s=2.0, samples=True),
        *(at(number + 1, "load.second", load_id="l1", **second) for number in range(10)),
        at(11, "load.ended", load_id="l1", **ended),
    ]


def judged(sla: str, rows: list[dict[str, Any]], events: list[dict[str, Any]] | None = None) -> Verdict:
    events = record(len(rows)) if events is None else events
    (verdict,) = judge(timeline({SERIES: rows}, *events, ASKED[sla]))
    return verdict


@pytest.mark.parametrize("sla", sorted(ASKED))
def test_a_good_load_passes(sla: str) -> None:
    """Nothing speaks against it, and its figures are exact."""
    verdict = judged(sla, ROWS)
    assert (verdict.verdict, verdict.samples) == (Outcome.PASS, 500)
    assert verdict.measured == (0 if sla == "error_ratio" else pytest.approx(5.0, abs=1e-4))


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (record(cpu=0.91), "91% of a core, more than 90%"),
        (record(achieved=47), "achieved 470 of 500 requests due in the window, at least 95%"),
        (record(workers=1), "only 1 of 2 load workers"),
        (record(ended={"workers_lost": 1}), "lost 1 workers"),
        (record(ended={"exit_code": -9}), "ended with -9"),
        (record(ended={"rows": 501}), "500 samples of the load are there, 501 were taken"),
        (record()[:-1], "never reported its end"),
        (record()[1:], "no load was started"),
    ],
    ids=["cpu", "rate", "missing worker", "lost worker", "killed", "lost samples", "no end", "no start"],
)
@pytest.mark.parametrize("sla", sorted(ASKED))
def test_a_load_that_proves_nothing_is_inconclusive(
    sla: str, events: list[dict[str, Any]], words: str
) -> None:
    """Whatever its samples say."""
    verdict = judged(sla, ROWS, events)
    assert verdict.verdict is Outcome.INCONCLUSIVE
    assert words in str(verdict.cause)


@pytest.mark.parametrize("good", [record(cpu=0.9), record(achieved=47.5)], ids=["cpu", "rate"])
def test_the_bounds_themselves_are_good_enough(good: list[dict[str, Any]]) -> None:
    """Exactly 90 % of a core, and exactly 95 % of what was due."""
    assert judged("latency_p95", ROWS, good).verdict is Outcome.PASS


def test_one_busy_second_is_enough() -> None:
    """A mean over the window would hide it."""
    events = record()
    events[5] |= {"cpu": 0.97}
    assert judged("latency_p95", ROWS, events).verdict is Outcome.INCONCLUSIVE


def test_a_short_rest_of_a_second_says_nothing_of_the_cpu() -> None:
    """The last one may be some milliseconds."""
    events = record()
    events.insert(-1, at(10.01, "load.second", load_id="l1", cpu=1.0, span_s=0.01, workers=2))
    assert judged("latency_p95", ROWS, events).verdict is Outcome.PASS


def test_latency_counts_from_when_a_request_was_due() -> None:
    """What a user sent late because an answer was slow waited as long as whoever meant to send it."""
    rows = [row(0.01 + 0.02 * i, late_s=0.5 if i < 100 else 0.0) for i in range(500)]
    verdict = judged("latency_p95", rows)
    assert (verdict.verdict, verdict.measured) == (Outcome.FAIL, pytest.approx(505, abs=1e-3))
    assert verdict.evidence["uncorrected_ms"]["p95"] == pytest.approx(5, abs=1e-3)


def test_no_latency_is_rounded() -> None:
    """The percentile is one of the samples, to the microsecond."""
    rows = [row(0.01 + 0.02 * i, took_s=0.010 + i * 1.7e-6) for i in range(500)]
    assert judged("latency_p99", rows).measured == pytest.approx(10 + 494 * 1.7e-3, abs=1e-3)


@pytest.mark.parametrize(
    "bad",
    [
        {"outcome": "status", "status": 500},
        {"outcome": "refused"},
        {"outcome": "runner", "sent_s": 0.0, "finished_s": T0 + 10.1, "error": "not sent"},
    ],
    ids=["status", "refused", "never sent"],
)
def test_a_request_without_answer_is_as_slow_as_its_time_out(bad: dict[str, Any]) -> None:
    """Fast errors, and what was due and never sent, flatter nothing."""
    rows = [one | bad if i % 10 == 0 else one for i, one in enumerate(ROWS)]
    verdict = judged("latency_p95", rows)
    assert verdict.verdict is Outcome.FAIL
    assert verdict.measured >= 2000 - 1e-3


def test_errors_are_counted_from_the_samples_of_the_window() -> None:
    """Not what was due before or after it; and what was never sent is no error of the product."""
    rows = [one | ({"outcome": "reset"} if i < 6 else {}) for i, one in enumerate(ROWS)]
    assert judged("error_ratio", rows).measured == pytest.approx(6 / 500)
    assert judged("error_ratio", rows).verdict is Outcome.FAIL
    outside = [row(-0.5, outcome="reset"), *ROWS, row(10.5, outcome="reset")]
    assert judged("error_ratio", outside).verdict is Outcome.PASS
    unsent = [one | ({"outcome": "runner", "sent_s": 0.0} if i < 6 else {}) for i, one in enumerate(ROWS)]
    assert judged("error_ratio", unsent).measured == 0


def test_few_requests_have_no_percentile() -> None:
    """The 99th percentile needs five hundred."""
    events = record(499)
    assert judged("latency_p99", ROWS[:-1], events).verdict is Outcome.INCONCLUSIVE
    assert judged("latency_p95", ROWS[:-1], events).verdict is Outcome.PASS


ORDER = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}


@given(
    took_ms=st.lists(st.floats(0.1, 80), min_size=120, max_size=160),
    failing=st.sets(st.integers(0, 119), max_size=10),
    further=st.integers(0, 119),
)
def test_turning_a_success_into_a_failure_never_improves_a_verdict(
    took_ms: list[float], failing: set[int], further: int
) -> None:
    """Of errors and of latency."""
    rows = [row(0.05 * i, took_s=took / 1000) for i, took in enumerate(took_ms)]
    for number in failing:
        rows[number] |= {"outcome": "reset"}
    worse = [one | ({"outcome": "timeout"} if i == further else {}) for i, one in enumerate(rows)]
    for sla in ("error_ratio", "latency_p95"):
        assert ORDER[judged(sla, worse).verdict] <= ORDER[judged(sla, rows).verdict]


@given(st.lists(st.floats(0.0001, 1.9), min_size=100, max_size=300))
def test_the_percentile_is_that_of_a_sorted_list(took_s: list[float]) -> None:
    """Brute force: the least value that 95 % of all are not above."""
    rows = [row(0.03 * i, took_s=took) for i, took in enumerate(took_s)]
    load = load_between(timeline({SERIES: rows}, *record(len(rows))), T0, T0 + 10, load_id="l1")
    waits = sorted((one["finished_s"] - one["scheduled_s"]) * 1000 for one in rows)
    brute = next(wait for wait in waits if sum(other <= wait for other in waits) * 100 >= 95 * len(waits))
    assert latency_of(load, spans_of([])).percentile_ms(95) == pytest.approx(brute, abs=1e-6)


def test_what_the_runner_slept_through_is_not_waited_for() -> None:
    """A blind span of the machine that sends is no latency of the product."""
    rows = [row(0.01 + 0.02 * i, late_s=0.5 if i < 100 else 0.0) for i in range(500)]
    blind = at(3, "control.blind", start_s=T0, end_s=T0 + 3, reason="frozen")
    (verdict,) = judge(timeline({SERIES: rows}, *record(), blind, ASKED["latency_p95"]))
    assert verdict.verdict is Outcome.PASS


@pytest.mark.parametrize(
    ("text", "outcome", "measured"),
    [
        ("p95<6ms", Outcome.PASS, 5.0),
        ("p99<=4ms", Outcome.FAIL, 5.0),
        ("max<1s", Outcome.PASS, 5.0),
        ("error_ratio<1%", Outcome.PASS, 0.0),
        ("error_ratio<0", Outcome.FAIL, 0.0),
        ("rate>=50", Outcome.PASS, 50.0),
        ("rate>50", Outcome.FAIL, 50.0),
    ],
)
def test_thresholds_judge_the_load(text: str, outcome: Outcome, measured: float) -> None:
    """Each figure against its bound."""
    load = load_between(timeline({SERIES: ROWS}, *record()), T0, T0 + 10, load_id="l1")
    said = Threshold.parse(text).judge(load, latency_of(load, spans_of([])), 10.0)
    assert (said.outcome, said.measured) == (outcome, pytest.approx(measured, abs=1e-3))


def test_thresholds_of_a_load_that_proves_nothing_are_inconclusive() -> None:
    """Also those that it would break."""
    load = load_between(timeline({SERIES: ROWS}, *record(workers=1)), T0, T0 + 10, load_id="l1")
    latency = latency_of(load, spans_of([]))
    for text in ("p95<1ms", "p95<1s", "rate>=1", "error_ratio<1%"):
        assert Threshold.parse(text).judge(load, latency, 10.0).outcome is Outcome.INCONCLUSIVE
