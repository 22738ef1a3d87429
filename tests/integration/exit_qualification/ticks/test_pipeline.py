"""From a tick to rows and events: the market's decision, written once, with its offsets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from services.exit_qualification.domain.switches import Rollout
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.contracts.vocabulary import Direction, RolloutMode
from shared.postgres.audit import Act
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book, Market, running_worker
from tests.support.trades import opened
from tests.support.waiting import wait_until

ACT = Act("test", "test")


def test_two_trades_on_a_symbol_give_two_intents(settings: Settings, market: Market, book: Book) -> None:
    long, short = opened(), opened(Direction.SHORT, target="990.00", stop_loss="1010.00")
    market.open(long, short)
    with running_worker(settings):
        book.await_trades(2)
        market.tick("1010.00")
        book.await_exits(2)
    found = {(row.trade_id, row.exit_reason, row.status) for row in book.intents()}
    assert found == {(long.trade_id, "TARGET", "APPROVED"), (short.trade_id, "STOP_LOSS", "APPROVED")}
    assert {row.trade_id for row in book.signals()} == {long.trade_id, short.trade_id}


def test_a_tick_before_its_trade_event_exits_the_trade(settings: Settings, market: Market, book: Book) -> None:
    trade = opened()
    with running_worker(settings):
        market.tick("985.00")
        book.await_tick(market.partition(), 1)
        market.open(trade)
        book.await_exits(1)
    [intent] = book.intents()
    assert (intent.trade_id, intent.exit_reason) == (trade.trade_id, "STOP_LOSS")


def test_an_exit_due_during_rollout_off_is_found_after_restart(settings: Settings, market: Market, book: Book) -> None:
    _put_rollout(book, RolloutMode.OFF)
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("985.00")
        book.await_tick(market.partition(), 1)
    _put_rollout(book, RolloutMode.FULL)
    with running_worker(settings):
        book.await_exits(1)


def test_rows_events_and_offsets_are_of_one_transaction(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened(), opened())
    with running_worker(settings):
        book.await_trades(2)
        market.tick("1010.00")
        book.await_exits(2)
    written = "SELECT DISTINCT xid::text FROM exit_signals UNION ALL SELECT DISTINCT xid::text FROM outbox_event"
    [signals, events] = [row[0] for row in book.rows(written)]
    intents = book.value("SELECT DISTINCT xmin::text FROM exit_intents")
    moved = book.value("SELECT xmin::text FROM tick_symbols WHERE symbol = :s AND tick_offset = 1", s=INFY)
    assert signals == events == intents == moved


def test_every_event_speaks_of_a_row_of_its_own_transaction(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened(), opened(Direction.SHORT, target="980.00", stop_loss="1010.00"))
    with running_worker(settings):
        book.await_trades(2)
        market.tick("1010.00")
        book.await_exits(2)
    orphans = """
        SELECT e.id FROM outbox_event e
          LEFT JOIN exit_signals s ON s.signal_id::text = e.ce_subject AND s.xid = e.xid
          LEFT JOIN exit_intents i ON i.intent_id::text = e.ce_subject
         WHERE s.signal_id IS NULL AND i.intent_id IS NULL"""
    assert [event.type for event in book.events()] == [
        "io.exitflow.ExitSignalPublished.v1",
        "io.exitflow.ExitIntentApproved.v1",
    ] * 2
    assert book.rows(orphans) == []


def test_a_restart_under_cooldown_writes_nothing_new(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1010.00")
        book.await_exits(1)
    events = book.events()
    market.tick("1010.00")
    market.tick("1011.00")
    with running_worker(settings):
        book.await_tick(market.partition(), 3)
    assert len(book.signals()) == len(book.intents()) == 1
    assert book.events() == events


def test_the_last_price_exits_again_after_a_cancelled_cooldown(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    quick = settings.model_copy(update={"cooldown_s": 0.5, "rearm_poll_ms": 50})
    with running_worker(quick):
        book.await_trades(1)
        market.tick("1010.00")
        book.await_exits(1)
        book.execute("UPDATE exit_intents SET status = 'CANCELLED', cancel_reason = 'EXPIRED', version = version + 1")
        book.await_exits(2)
    assert [row.episode_id for row in book.signals()] == [1, 2]
    assert [row.status for row in book.intents()] == ["CANCELLED", "APPROVED"]


def test_a_stop_supersedes_a_target_that_waits(settings: Settings, market: Market, book: Book) -> None:
    book.execute("UPDATE user_brokers SET status = 'DISCONNECTED'")
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1010.00")
        book.await_exits(1)
        market.tick("990.00")
        book.await_exits(2)
    target, stop = book.intents()
    assert (target.exit_reason, target.status, target.cancel_reason) == ("TARGET", "CANCELLED", "SUPERSEDED")
    assert (stop.exit_reason, stop.status) == ("STOP_LOSS", "PENDING")


def test_the_first_tick_decides_between_target_and_stop(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
    market.tick("1010.00")
    market.tick("990.00")
    market.tick("1010.00")
    with running_worker(settings):
        book.await_tick(market.partition(), 3)
    assert [(row.exit_reason, row.status) for row in book.intents()] == [("TARGET", "APPROVED")]


def test_a_stop_supersedes_a_target_waiting_in_its_batch(settings: Settings, market: Market, book: Book) -> None:
    book.execute("UPDATE user_brokers SET status = 'DISCONNECTED'")
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
    for price in ("1010.00", "990.00", "1010.00"):
        market.tick(price)
    with running_worker(settings):
        book.await_tick(market.partition(), 3)
    assert [(row.exit_reason, row.status) for row in book.intents()] == [
        ("TARGET", "CANCELLED"),
        ("STOP_LOSS", "PENDING"),
    ]


def test_a_stop_supersedes_a_target_without_a_sender(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1010.00")
        book.await_exits(1)
        market.tick("990.00")
        book.await_exits(2)
    target, stop = book.intents()
    assert (target.exit_reason, target.cancel_reason) == ("TARGET", "SUPERSEDED")
    assert (stop.exit_reason, stop.status) == ("STOP_LOSS", "APPROVED")
    assert stop.created_at - target.created_at > timedelta(seconds=1)


def test_in_dark_mode_intents_are_written_and_never_executable(settings: Settings, market: Market, book: Book) -> None:
    _put_rollout(book, RolloutMode.DARK)
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1010.00")
        book.await_exits(1)
    [intent] = book.intents()
    assert (intent.status, intent.executable) == ("APPROVED", False)


def test_rollout_off_advances_ticks_and_writes_nothing(settings: Settings, market: Market, book: Book) -> None:
    _put_rollout(book, RolloutMode.OFF)
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1010.00")
        book.await_tick(market.partition(), 1)
        assert book.signals() == [] and book.events() == []
        _put_rollout(book, RolloutMode.FULL)
        book.await_exits(1)


def test_a_closed_trade_is_judged_no_more(settings: Settings, market: Market, book: Book) -> None:
    event = opened()
    market.open(event)
    with running_worker(settings):
        book.await_trades(1)
        market.close(event)
        wait_until(lambda: book.value("SELECT status FROM open_trades") == "CLOSED", "the closure is projected")
        market.tick("1010.00")
        book.await_tick(market.partition(), 1)
    assert book.signals() == []


def test_the_unique_indexes_refuse_a_second_row(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1010.00")
        book.await_exits(1)
    own = ["intent_id", "client_order_id"]
    every = "SELECT column_name FROM information_schema.columns WHERE table_name = 'exit_intents'"
    columns = [row.column_name for row in book.rows(every) if row.column_name not in own]
    names = ", ".join(columns)
    again = (
        f"INSERT INTO exit_intents (intent_id, client_order_id, {names}) "
        f"SELECT gen_random_uuid(), 'ZZZZZZZZZZZZZZZZZZZZ', {names} FROM exit_intents"
    )
    with pytest.raises(IntegrityError, match=r"exit_intents_(idempotency|one_live)"):
        book.execute(again)
    with pytest.raises(IntegrityError, match="exit_signals_episode_key"):
        book.execute(
            "INSERT INTO exit_signals (signal_id, trade_id, symbol, direction, exit_reason, episode_id, detected_at) "
            "SELECT gen_random_uuid(), trade_id, symbol, direction, exit_reason, episode_id, detected_at "
            "FROM exit_signals"
        )


def _put_rollout(book: Book, mode: RolloutMode) -> None:
    with book.engine.begin() as connection:
        SwitchRepository(connection).put_rollout(Rollout(mode), ACT)
