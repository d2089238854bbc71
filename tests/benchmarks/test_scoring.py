"""The rule by which detectors are compared, and what the commands write."""

from __future__ import annotations

import pytest

from benchmarks import pieces
from benchmarks.document import replace_part, table
from benchmarks.outages import MOST_LONGER_S, Truth, planned
from benchmarks.peers.answers import Answer, intervals
from benchmarks.scoring import Seen, score
from core.errors import MisuseError

TRUTH = Truth(mode="reset", planned_s=1.0, start_s=10.0, end_s=11.0, outer_start_s=9.999, outer_end_s=11.002)


def test_an_outage_is_found_by_an_interval_that_overlaps_it():
    """Touching is not enough, and what overlaps no outage is a false alarm."""
    result = score([TRUTH], [Seen.plain(10.2, 11.4)])
    assert (result.found, result.false_alarms) == (1, ())
    assert result.mean_error_s == pytest.approx(1.2 - 1.003)
    missed = score([TRUTH], [Seen.plain(11.0005, 11.3), Seen.plain(12.0, 13.0)])
    assert (missed.found, missed.mean_error_s) == (0, None)
    assert missed.false_alarms == (Seen.plain(12.0, 13.0),)


def test_several_intervals_of_one_outage_count_together():
    """Their lengths add up; between the least and the most of the truth there is no error."""
    assert score([TRUTH], [Seen.plain(10.0, 10.4), Seen.plain(10.5, 11.0)]).mean_error_s == pytest.approx(0.1)
    assert score([TRUTH], [Seen.plain(10.0, 11.001)]).mean_error_s == 0.0


@pytest.mark.parametrize(
    ("seen", "inside"),
    [
        (Seen(start_s=9.99, end_s=11.01, lower_s=0.98, upper_s=1.02), True),
        (Seen(start_s=10.001, end_s=11.01, lower_s=0.98, upper_s=1.009), False),
        (Seen(start_s=9.99, end_s=10.999, lower_s=0.98, upper_s=1.009), False),
        (Seen(start_s=9.99, end_s=11.01, lower_s=1.01, upper_s=1.02), False),
        (Seen(start_s=9.99, end_s=11.01, lower_s=0.5, upper_s=0.99), False),
    ],
)
def test_a_bracket_must_reach_around_the_truth_and_not_exclude_its_length(seen, inside):
    """Each bound is checked on its own."""
    assert score([TRUTH], [seen]).findings[0].inside is inside


def test_a_peers_requests_become_intervals():
    """From the sending of the first failed to the sending of the next good one, whatever their order."""
    marks = {1.0: True, 1.1: False, 1.2: False, 1.3: True, 1.4: False, 1.5: True, 1.6: False}
    answers = [Answer(sent_s=sent_s, ok=ok) for sent_s, ok in reversed(marks.items())]
    assert intervals(answers) == [Seen.plain(1.1, 1.3), Seen.plain(1.4, 1.5)]
    assert intervals([]) == []


def test_a_plan_has_each_length_in_each_mode_and_is_the_same_for_a_seed():
    """Lengths exceed what was asked for by a random little, so that they are no whole periods."""
    row = planned((0.005, 3.0), repeats=3, quiet_s=(0.5, 1.5), seed=4)
    assert len(row) == 2 * 4 * 3
    assert all(0 <= one.length_s - one.planned_s <= MOST_LONGER_S for one in row)
    assert len({one.length_s for one in row}) == len(row)
    assert row == planned((0.005, 3.0), repeats=3, quiet_s=(0.5, 1.5), seed=4)
    assert row != planned((0.005, 3.0), repeats=3, quiet_s=(0.5, 1.5), seed=5)


def test_a_part_of_a_document_is_replaced_and_the_rest_is_not(tmp_path):
    """Writing twice gives the same; a document without the part is refused."""
    document = tmp_path / "x.md"
    document.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")
    for _ in range(2):
        replace_part(document, "a", table(("n", "ms"), [(1, r"\1")]))
        expected = "before\n<!-- a -->\n| n | ms |\n| --- | --- |\n| 1 | \\1 |\n<!-- /a -->\nafter\n"
        assert document.read_text() == expected
    with pytest.raises(MisuseError, match="expected one part"):
        replace_part(document, "b", "")


def test_a_finished_piece_is_not_measured_again(tmp_path, monkeypatch):
    """A campaign goes on where it stopped; other code measures anew, and a failed piece leaves nothing."""
    monkeypatch.setattr(pieces, "cache", lambda: tmp_path)
    monkeypatch.setattr(pieces, "revision", lambda: "one")
    measured = []

    def measure():
        measured.append(1)
        return {"found": len(measured)}

    def fail():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        pieces.piece("p", fail)
    assert [pieces.piece("p", measure), pieces.piece("p", measure)] == [{"found": 1}] * 2
    monkeypatch.setattr(pieces, "revision", lambda: "two")
    assert pieces.piece("p", measure) == {"found": 2}
