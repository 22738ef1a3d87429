"""The allowed requests of each token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import SystemClock
from shared.errors import TooManyRequests
from shared.http import rate_limits
from shared.http.rate_limits import BURST_S, RateLimiter


class SetClock(SystemClock):
    """A monotonic clock set by hand."""

    now_s = 1000.0

    def monotonic(self) -> float:
        """The time set."""
        return self.now_s


def spent(limiter: RateLimiter, key: bytes, times: int) -> int:
    """How many of `times` requests were allowed."""
    allowed = 0
    for _ in range(times):
        try:
            limiter.spend(key)
        except TooManyRequests:
            continue
        allowed += 1
    return allowed


@given(st.integers(1, 20), st.lists(st.tuples(st.floats(0, 5), st.integers(0, 60)), max_size=20))
def test_no_time_span_allows_more_than_rate_plus_burst(per_s: int, calls: list[tuple[float, int]]) -> None:
    clock = SetClock()
    limiter = RateLimiter(per_s, clock)
    allowed = 0
    for pause_s, times in calls:
        clock.now_s += pause_s
        allowed += spent(limiter, b"k", times)
        assert allowed <= per_s * BURST_S + (clock.now_s - 1000) * per_s + 1e-6


@given(st.integers(1, 1000))
def test_the_time_that_a_refusal_names_is_enough(per_s: int) -> None:
    clock = SetClock()
    limiter = RateLimiter(per_s, clock)
    assert spent(limiter, b"k", per_s * BURST_S + 5) == per_s * BURST_S
    with pytest.raises(TooManyRequests) as refused:
        limiter.check(b"k")
    assert refused.value.retry_after_s == 1
    clock.now_s += refused.value.retry_after_s
    limiter.check(b"k")
    limiter.spend(b"k")


def test_one_key_does_not_spend_for_another() -> None:
    limiter = RateLimiter(1, SetClock())
    assert spent(limiter, b"a", 100) == BURST_S
    assert spent(limiter, b"b", 1) == 1


def test_zero_sets_no_limit() -> None:
    assert spent(RateLimiter(0, SetClock()), b"a", 10_000) == 10_000


def test_keys_that_were_only_checked_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MOST_BUCKETS", 10)
    clock = SetClock()
    limiter = RateLimiter(1, clock)
    for n in range(1000):
        limiter.check(b"%d" % n)
    assert limiter._buckets == {}
    for n in range(1000):
        limiter.spend(b"%d" % n)
        clock.now_s += 1
    assert len(limiter._buckets) <= 10
