"""generate_exit_episode: the only source of episodes and the only cooldown."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine, text

from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from shared.contracts.vocabulary import ExitReason
from shared.ids import new_id
from tests.unit.exit_qualification.examples import intent

MINUTE = timedelta(minutes=1)
NONE = timedelta()


def _generate(engine: Engine, trade_id: UUID, cooldown: timedelta = MINUTE) -> int | None:
    with engine.begin() as connection:
        return connection.execute(
            text("SELECT generate_exit_episode(:trade_id, 'TARGET', :cooldown)"),
            {"trade_id": trade_id, "cooldown": cooldown},
        ).scalar()


def _cooldown_left_s(engine: Engine, trade_id: UUID) -> float:
    with engine.connect() as connection:
        left = connection.execute(
            text("SELECT cooldown_until - clock_timestamp() FROM exit_episodes WHERE trade_id = :t"), {"t": trade_id}
        ).scalar_one()
        seconds: float = left.total_seconds()
        return seconds


def test_under_cooldown_there_is_no_episode(exit_engine: Engine) -> None:
    trade_id = new_id()
    assert _generate(exit_engine, trade_id) == 1
    assert _generate(exit_engine, trade_id) is None


def test_an_episode_does_not_depend_on_the_search_path(exit_engine: Engine) -> None:
    """A database tool, a restore or an administrator's session has another one."""
    trade_id = new_id()
    with exit_engine.begin() as connection:
        connection.execute(text("SET LOCAL search_path = ''"))
        statement = text("SELECT exit_qualification.generate_exit_episode(:trade_id, 'TARGET', '1 minute')")
        assert connection.execute(statement, {"trade_id": trade_id}).scalar() == 1


def test_without_cooldown_episodes_count_up(exit_engine: Engine) -> None:
    trade_id = new_id()
    assert [_generate(exit_engine, trade_id, NONE) for _ in range(3)] == [1, 2, 3]


def test_a_transaction_that_rolls_back_leaves_no_cooldown(exit_engine: Engine) -> None:
    trade_id = new_id()
    with exit_engine.connect() as connection:
        given = ExitEpisodeRepository(connection).generate([RuleKey(trade_id, ExitReason.TARGET)], MINUTE)
        assert given == {RuleKey(trade_id, ExitReason.TARGET): 1}
        connection.rollback()
    assert _generate(exit_engine, trade_id) == 1


def test_of_many_at_once_exactly_one_gets_the_episode(exit_engine: Engine) -> None:
    trade_id = new_id()
    got: list[int | None] = []
    threads = [threading.Thread(target=lambda: got.append(_generate(exit_engine, trade_id))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got, key=str) == [1, None, None, None, None]


def test_the_set_based_form_answers_for_each_and_takes_repeats(exit_engine: Engine) -> None:
    first, second = new_id(), new_id()
    assert _generate(exit_engine, first) == 1
    with exit_engine.begin() as connection:
        pairs = [RuleKey(each, ExitReason.TARGET) for each in (second, first, second)]
        assert ExitEpisodeRepository(connection).generate(pairs, MINUTE) == {RuleKey(second, ExitReason.TARGET): 1}


def test_back_off_replaces_the_cooldown_and_doubles_to_its_maximum(exit_engine: Engine) -> None:
    trade_id = new_id()
    _generate(exit_engine, trade_id, timedelta(hours=1))
    waits = []
    for _ in range(6):
        with exit_engine.begin() as connection:
            ExitEpisodeRepository(connection).back_off(RuleKey(trade_id, ExitReason.TARGET), first_s=100, max_s=1500)
        waits.append(_cooldown_left_s(exit_engine, trade_id))
    for wait, expected in zip(waits, [100, 200, 400, 800, 1500, 1500], strict=True):
        assert expected - 60 < wait <= expected


def test_forgiveness_starts_the_back_off_again(exit_engine: Engine) -> None:
    trade_id = new_id()
    _generate(exit_engine, trade_id)
    with exit_engine.begin() as connection:
        episodes = ExitEpisodeRepository(connection)
        for _ in range(3):
            episodes.back_off(RuleKey(trade_id, ExitReason.TARGET), first_s=100, max_s=1500)
        episodes.filled([intent(trade_id=trade_id, exit_reason=ExitReason.TARGET)])
        episodes.back_off(RuleKey(trade_id, ExitReason.TARGET), first_s=100, max_s=1500)
    assert _cooldown_left_s(exit_engine, trade_id) <= 100


def test_a_released_reason_may_fire_and_keeps_its_failures(exit_engine: Engine) -> None:
    trade_id, other = new_id(), new_id()
    assert [_generate(exit_engine, found) for found in (trade_id, other)] == [1, 1]
    with exit_engine.begin() as connection:
        episodes = ExitEpisodeRepository(connection)
        episodes.back_off(RuleKey(trade_id, ExitReason.TARGET), first_s=100, max_s=1500)
        episodes.release([RuleKey(trade_id, ExitReason.TARGET)])
    assert [_generate(exit_engine, found) for found in (trade_id, other)] == [2, None]
    with exit_engine.begin() as connection:
        ExitEpisodeRepository(connection).back_off(RuleKey(trade_id, ExitReason.TARGET), first_s=100, max_s=1500)
    assert _cooldown_left_s(exit_engine, trade_id) > 100


def test_each_leg_has_cooldown_and_trade_numbers_continue(exit_engine: Engine) -> None:
    trade_id = new_id()
    legs = [RuleKey(trade_id, ExitReason.TARGET, leg) for leg in (2, 10, 1)]
    with exit_engine.begin() as connection:
        episodes = ExitEpisodeRepository(connection)
        assert episodes.generate(legs[:1], MINUTE) == {legs[0]: 1}
        assert episodes.generate(legs, MINUTE) == {legs[2]: 2, legs[1]: 3}
        assert episodes.generate(legs, MINUTE) == {}
        episodes.back_off(legs[1], first_s=0, max_s=0)
        assert episodes.generate(legs, MINUTE) == {legs[1]: 4}
