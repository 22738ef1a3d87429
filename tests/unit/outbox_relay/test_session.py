"""How a session ends: everything of it, and within its leases."""

from __future__ import annotations

import threading
from unittest.mock import Mock

import pytest

from services.outbox_relay.session import Session
from shared.settings import Settings
from tests.unit.outbox_relay.clock import StandingClock

PACE = Settings(relay_lease_s=8.0)


class Parts:
    """What a session is made of, without servers; nothing is held, nothing happens."""

    def __init__(self) -> None:
        self.clock = StandingClock()
        self.leases = Mock(held={})
        self.reader, self.recorder, self.publisher, self.replays, self.meters = (Mock() for _ in range(5))
        self.detour = Mock(record=Mock(return_value=[]))

    def run(self) -> None:
        """A session that is told to stop before it begins."""
        stop = threading.Event()
        stop.set()
        session = Session(
            self.leases,
            self.reader,
            self.recorder,
            self.publisher,
            self.detour,
            self.replays,
            self.meters,
            PACE,
            self.clock,
        )
        session.run(stop, on_tended=lambda: None)


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_all_is_thrown_away_though_something_fails_at_it(parts: Parts) -> None:
    for part in (parts.publisher, parts.detour, parts.replays):
        part.throw_away.side_effect = RuntimeError("as tested")
    with pytest.raises(RuntimeError):
        parts.run()
    for part in (parts.publisher, parts.detour, parts.replays):
        part.throw_away.assert_called_once_with()
    parts.reader.close.assert_called_once_with()


def test_all_that_is_waited_for_at_the_end_takes_half_a_lease_at_most(parts: Parts) -> None:
    limits: list[float] = []

    def takes_all_but_half_a_second(limit_s: float) -> None:
        limits.append(limit_s)
        parts.clock.elapsed_s += max(0, limit_s - 0.5)

    parts.detour.finish.side_effect = takes_all_but_half_a_second
    parts.replays.finish.side_effect = lambda _, limit_s: takes_all_but_half_a_second(limit_s)
    parts.publisher.drain.side_effect = takes_all_but_half_a_second
    parts.run()
    assert limits == [4.0, 0.5, 0.5]
    assert parts.clock.elapsed_s <= 4.0
