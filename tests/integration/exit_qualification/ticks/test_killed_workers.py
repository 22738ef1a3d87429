"""Workers killed one after the other, in bursts and ladders, exit the same as the brute-force engine, each once."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from services.exit_qualification.storage.waiting_trades import MOST_TRADES
from shared.contracts.trades import TradeOpened
from shared.instants import epoch_ms
from shared.money import money_text, to_units
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book, Market, running_worker, worker_process
from tests.support.trades import opened, project
from tests.support.waiting import wait_until
from tests.unit.exit_qualification.oracle import BruteForceEngine, Trade

KILLED = -signal.SIGKILL
DEATH_LIMIT_S = 60
TICKS = ("1010.00", "1004.00", "1021.00", "1031.00")
LADDER = {
    "stop_loss": "990",
    "targets": [
        {"price": "1010", "percent": "50"},
        {"price": "1020", "percent": "25"},
        {"price": "1030", "percent": "25"},
    ],
}
DEATHS = (
    ("ticks.after_commit", 1),
    ("ticks.before_commit", 1),
    ("ticks.after_commit", 2),
)
"""Where each worker is killed, and how many transactions of exits are committed by then."""

Exit = tuple[UUID, str, int | None, str]
"""Trade, reason, leg and detected price of an exit."""


def by_brute_force(trades: Sequence[TradeOpened], prices: Sequence[str]) -> list[Exit]:
    """Return the exits of these ticks; no cooldown ends meanwhile: no rule fires twice."""
    engine = BruteForceEngine()
    for each in trades:
        entry, entered_ms = to_units(each.entry_price), epoch_ms(each.entered_at)
        engine.add_trade(Trade(each.trade_id, each.symbol, each.direction, entry, entered_ms, each.exit_plan))
    exits: list[Exit] = []
    for seq, price in enumerate(prices, 1):
        _, found = engine.on_tick(INFY, to_units(Decimal(price)), seq, seq, seq)
        exits += [
            (trade_id, str(reason), leg, price) for trade_id, candidates in found for reason, leg, _, _ in candidates
        ]
    return sorted(exits, key=str)


def written(book: Book) -> list[Exit]:
    """Return the exits in the database."""
    rows = book.rows("SELECT trade_id, exit_reason, leg, detected_price FROM exit_intents WHERE status = 'APPROVED'")
    return sorted(((row[0], row[1], row[2], money_text(row[3])) for row in rows), key=str)


def test_killed_workers_exit_as_brute_force_engine_does(
    settings: Settings, market: Market, book: Book, tmp_path: Path
) -> None:
    trades = [opened() for _ in range(2 * MOST_TRADES)] + [opened(plan=LADDER) for _ in range(7)]
    with book.engine.connect() as connection:
        project(connection, *trades, partition=market.partition())
    for price in TICKS:
        market.tick(price)
    for nth, (point, transactions) in enumerate(DEATHS):
        alone = settings.model_copy(update={"kafka_consumer_prefix": f"{settings.kafka_consumer_prefix}{nth}"})
        with worker_process(alone, tmp_path / f"log{nth}", f"{point}=kill") as child:
            assert child.wait(DEATH_LIMIT_S) == KILLED, (tmp_path / f"log{nth}").read_text()
        exited = {trade_id for trade_id, *_ in written(book)}
        assert len(exited) == transactions * MOST_TRADES
        assert book.symbol_offset(INFY) == (len(TICKS) if transactions else 0)
    with running_worker(settings):
        expected = by_brute_force(trades, TICKS)
        wait_until(lambda: len(written(book)) >= len(expected), "every exit is written", DEATH_LIMIT_S)
    assert written(book) == expected
    assert len(book.signals()) == len(expected)
    assert book.value("SELECT count(*) FROM outbox_event") == 2 * len(expected)
    assert book.value("SELECT sum(quantity) FROM exit_intents") == sum(each.quantity for each in trades)
    assert book.rows("SELECT FROM queued_exits") == []
