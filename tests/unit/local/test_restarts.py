"""When a process that ended is started again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.local.restarts import Backoff


def test_waits_double() -> None:
    backoff = Backoff(first_s=0.2, longest_s=20)
    assert [backoff.wait_s(failures) for failures in (1, 2, 3, 4)] == [0.2, 0.4, 0.8, 1.6]


@given(st.integers(min_value=1))
def test_no_wait_is_longer_than_the_longest(failures: int) -> None:
    assert 0 < Backoff().wait_s(failures) <= Backoff().longest_s
