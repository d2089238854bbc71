"""The comparison with other detectors."""

from __future__ import annotations

import pytest

from benchmarks.outages import Truth
from benchmarks.peers import bystanders
from benchmarks.scoring import Seen, score
from benchmarks.side_by_side import Comparison, Result, as_text, missed
from benchmarks.stage import server
from core.errors import CommandError

TRUTHS = [
    Truth(
        mode=mode,
        planned_s=length_s,
        start_s=at_s,
        end_s=at_s + length_s,
        outer_start_s=at_s,
        outer_end_s=at_s + length_s,
    )
    for mode, length_s, at_s in (("reset", 0.1, 10.0), ("stall", 0.1, 20.0), ("refused", 0.005, 30.0))
]
RESET = Seen(start_s=9.99, end_s=10.11, lower_s=0.09, upper_s=0.12)


def comparison(seen, absent=()):
    results = [Result(name="ours", score=score(TRUTHS, seen), in_health=0)]
    return Comparison(truths=TRUTHS, results=results, absent=dict(absent), health_s=30.0)


def test_what_ours_promises_and_misses_is_named():
    """Only promised outages count: no stall that is a good answer yet, none shorter than two periods."""
    assert missed(comparison([RESET])) == []
    assert missed(comparison([])) == ["reset of 100 ms"]
    short = Seen(start_s=9.99, end_s=10.09, lower_s=0.09, upper_s=0.1)
    assert missed(comparison([short])) == ["reset of 100 ms"], "found, but the truth is not inside"
    assert missed(comparison([RESET, Seen.plain(40.0, 40.1)])) == ["false alarm at 40.0"]


def test_the_table_names_who_did_not_take_part():
    """A peer that could not be had stands below the table with the reason."""
    text = as_text(comparison([RESET], {"vegeta": "go: no such program\nmore"}), "origin")
    assert "| ours | 1 of 3 | 0 | 1 | 0 | 0 | 5.0 ms | 0 | 0 |" in text
    assert "**vegeta did not take part**: go: no such program" in text
    assert "more" not in text


@pytest.mark.usefixtures("no_vegeta")
def test_a_peer_that_cannot_be_built_is_absent_and_the_others_take_part(tmp_path, clock):
    """Without vegeta the others watch all the same, and see the requests that they sent."""
    with server(tmp_path / "server", clock) as (_, url):
        peers = bystanders.Bystanders(tmp_path, clock, url, 3.0)
        try:
            peers.start()
            peers.finish()
        finally:
            peers.close()
    assert set(peers.absent) == {bystanders.VEGETA_NEW, bystanders.VEGETA_KEPT}
    assert "no Go here" in peers.absent[bystanders.VEGETA_NEW]
    assert set(peers.answers) == {bystanders.LOCUST, *bystanders.POLLS}
    assert all(one.ok for answers in peers.answers.values() for one in answers)
    assert len(peers.answers[bystanders.LOCUST]) > 100


@pytest.fixture
def no_vegeta(monkeypatch):
    """Have its build fail."""

    def fail():
        raise CommandError(["go", "install"], 1, "no Go here")

    monkeypatch.setattr(bystanders.vegeta, "ensure", fail)
