"""The tempo of a replay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.cli.support.tapes.tick_tempo import Tempo
from shared.errors import InvalidInput

START = datetime(2026, 1, 13, 3, 45, tzinfo=UTC)


def test_the_recorded_distance_is_kept_divided_by_the_speed() -> None:
    tempo = Tempo.parse("10")
    assert tempo.wait_s(START, 100.0) == 0
    assert tempo.wait_s(START + timedelta(seconds=5), 100.2) == pytest.approx(0.3)


def test_a_replay_that_is_behind_does_not_wait() -> None:
    tempo = Tempo.parse("1")
    tempo.wait_s(START, 100.0)
    assert tempo.wait_s(START + timedelta(seconds=1), 105.0) == 0


def test_max_never_waits() -> None:
    tempo = Tempo.parse("max")
    tempo.wait_s(START, 0.0)
    assert tempo.wait_s(START + timedelta(days=1), 0.0) == 0


def test_the_night_between_two_days_is_skipped_unless_asked_for() -> None:
    tempo, with_nights = Tempo.parse("1"), Tempo.parse("1", nights=True)
    next_day = START + timedelta(days=1)
    for each in (tempo, with_nights):
        assert each.wait_s(START, 100.0) == 0
    assert tempo.wait_s(next_day, 101.0) == 0
    assert tempo.wait_s(next_day + timedelta(seconds=2), 101.0) == pytest.approx(2)
    assert with_nights.wait_s(next_day, 101.0) == pytest.approx(24 * 3600 - 1)


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "inf"])
def test_no_other_speed_is_accepted(speed: str) -> None:
    with pytest.raises(InvalidInput, match="--speed"):
        Tempo.parse(speed)
