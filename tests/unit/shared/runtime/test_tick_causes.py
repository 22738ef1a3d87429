"""Traces of ticks behind exits."""

from __future__ import annotations

from uuid import UUID

import pytest

from shared.runtime import tick_causes
from shared.runtime.tick_causes import TickCauses

ONE, TWO = UUID(int=1), UUID(int=2)


def test_a_cause_is_that_of_the_trade_and_the_time() -> None:
    causes = TickCauses()
    causes.add(ONE, 5, "first")
    causes.add(ONE, 6, "second")
    assert [causes.of(ONE, 5), causes.of(ONE, 6), causes.of(ONE, 7), causes.of(TWO, 5)] == [
        "first",
        "second",
        None,
        None,
    ]


def test_the_earliest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tick_causes, "MOST", 2)
    causes = TickCauses()
    for at in range(3):
        causes.add(ONE, at, str(at))
    assert [causes.of(ONE, at) for at in range(3)] == [None, "1", "2"]
