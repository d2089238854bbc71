"""The offset of another clock: bounded by exchanges, whatever the round trips were."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from core.offset import MAX_DRIFT, ClockOffset, Exchange

_WAY_S = st.floats(0.0, 0.2)
_DRIFT = st.floats(-MAX_DRIFT, MAX_DRIFT)


@given(
    offset_s=st.floats(-1e4, 1e4),
    drift=_DRIFT,
    ways=st.lists(st.tuples(_WAY_S, _WAY_S, st.floats(0.01, 5.0)), min_size=1, max_size=30),
    later_s=st.floats(0.0, 10.0),
)
@example(offset_s=0.0, drift=MAX_DRIFT, ways=[(0.0, 0.0, 1.0)] * 2, later_s=0.0)
@example(offset_s=1e4, drift=-MAX_DRIFT, ways=[(0.0, 0.0, 1.0)] * 30, later_s=0.0)
def test_the_truth_lies_within_the_bound(
    offset_s: float, drift: float, ways: list[tuple[float, float, float]], later_s: float
) -> None:
    """Whatever the ways take, in whichever direction, and however the clocks drift within the limit."""

    def theirs(ours_s: float) -> float:
        return ours_s + offset_s + drift * ours_s

    clock, now_s = ClockOffset(), 0.0
    for there_s, back_s, pause_s in ways:
        sent_s = now_s
        step = clock.take(
            Exchange(sent_s=sent_s, their_s=theirs(sent_s + there_s), received_s=sent_s + there_s + back_s)
        )
        assert step is None
        now_s = sent_s + there_s + back_s
        for moment_s in (now_s, now_s + later_s):
            error_s = abs(clock.ours(theirs(moment_s)) - moment_s)
            assert error_s <= clock.bound_s(moment_s) * (1 + MAX_DRIFT) + 1e-9
        now_s += pause_s


def test_a_jump_is_told_and_not_averaged() -> None:
    """A clock that was set anew is a step over the span since the last exchange, and the new offset holds."""
    clock = ClockOffset()
    assert clock.take(Exchange(sent_s=10.0, their_s=110.001, received_s=10.002)) is None
    step = clock.take(Exchange(sent_s=11.0, their_s=116.001, received_s=11.002))
    assert step is not None
    assert (step.start_s, step.end_s) == (10.002, 11.002)
    assert abs(clock.ours(117.0) - 12.0) < 0.002


def test_the_quickest_exchange_decides() -> None:
    """One short round trip among long ones bounds the offset; the estimate does not move without need."""
    clock = ClockOffset()
    clock.take(Exchange(sent_s=0.0, their_s=5.01, received_s=0.1))
    clock.take(Exchange(sent_s=0.2, their_s=5.201, received_s=0.202))
    clock.settle()
    before_s = clock.offset_s
    assert clock.bound_s(0.202) < 0.0012
    clock.take(Exchange(sent_s=0.3, their_s=5.31, received_s=0.4))
    assert clock.offset_s == before_s
