"""TradeManagementService on a real PostgreSQL: rows, events and their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest
from confluent_kafka import Message
from msgspec.structs import replace
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from services.trade_management.domain.fill_report import FillReport
from services.trade_management.domain.fills import Fill
from services.trade_management.fills.reading import read
from services.trade_management.trade_management_service import Applied
from shared.clock import trading_day
from shared.contracts.events import Event
from shared.contracts.exits import ExitIntentCancelled, ExitIntentFilled, ExitIntentLateFill, ExitIntentPartiallyFilled
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.contracts.vocabulary import Direction, ExitReason, ProductType
from shared.ids import new_id, new_traceparent
from shared.outbox.numbers import Numbers
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.hot_path import pipelined
from tests.integration.trade_management.ledger import (
    CLOCK,
    SERVICE,
    Intent,
    emitted,
    execution,
    open_trade,
    rows,
    stored,
    unit_of_work,
)
from tests.support.row_locks import held_row
from tests.support.servers import Database
from tests.support.signing import SIGNER, TRUSTED, signed

Told = ExitIntentFilled | ExitIntentPartiallyFilled | ExitIntentCancelled | ExitIntentLateFill


def report(event: Told) -> FillReport:
    """The consumer's reading of the event."""
    fills = tuple(
        Fill(
            event.intent_id,
            told.broker_order_id,
            told.broker_trade_id,
            event.exit_reason,
            told.quantity,
            told.price,
            told.filled_at,
            trading_day(told.filled_at),
            target_leg=event.leg,
        )
        for told in event.fills
    )
    return FillReport(
        new_id(), event.trade_id, event.intent_id, event.symbol, event.direction, event.user_broker_id, fills
    )


def apply(engine: Engine, reports: Sequence[FillReport]) -> Applied:
    """Apply the reports in one transaction, as the consumer does."""
    with unit_of_work(engine) as uow, pipelined(uow.connection):
        applied = SERVICE.apply_fills(uow, reports)
        uow.commit()
    return applied


@dataclass(frozen=True)
class TracingOutbox(Outbox):
    """Also keeps the event of each trace."""

    given: list[tuple[str, str | None]] = field(default_factory=list)

    def append(
        self,
        connection: Connection,
        events: Sequence[Event],
        traceparents: Sequence[str | None] | None = None,
        numbers: Numbers | None = None,
    ) -> None:
        names = [type(event).__name__ for event in events]
        self.given.extend(zip(names, traceparents or [], strict=True))
        super().append(connection, events, traceparents, numbers)


@dataclass(frozen=True)
class Record:
    """An event as it is consumed."""

    event: Told
    traceparent: str

    def read(self) -> FillReport:
        """The consumer's reading of it."""
        told = {"ce_id": str(new_id()), "ce_type": self.event.event_type(), "traceparent": self.traceparent}
        headers = signed(EXIT_INTENTS, self.event.key, self.event.payload(), told)
        record = Message(
            topic=EXIT_INTENTS,
            key=self.event.key.encode(),
            value=self.event.payload(),
            headers=[(name, text.encode()) for name, text in headers.items()],
        )
        found = read(record, TRUSTED)
        assert isinstance(found, FillReport)
        return found


def test_each_event_continues_the_trace_of_its_record(trade_engine: Engine) -> None:
    trade, other = open_trade(trade_engine), open_trade(trade_engine)
    first, second = execution(40, nth=1), execution(60, nth=2)
    intent, stray = Intent(trade), Intent(other)
    part, rest = new_traceparent(), new_traceparent()
    records = [
        Record(intent.partially_filled(first), part),
        Record(intent.filled(first, second), rest),
        Record(stray.filled(execution()), "no trace"),
    ]
    outbox = TracingOutbox(TopicNames(""), CLOCK, SIGNER)
    with UnitOfWork(trade_engine, outbox) as uow:
        SERVICE.apply_fills(uow, [record.read() for record in records])
        uow.commit()
    assert outbox.given == [("TradePartiallyClosed", part), ("TradeClosed", rest), ("TradeClosed", None)]


@pytest.mark.parametrize(
    ("direction", "product", "days", "price", "charges", "net"),
    [
        (Direction.LONG, ProductType.MIS, 0, "1010", "82.72", "917.28"),
        (Direction.SHORT, ProductType.MIS, 0, "990", "82.62", "917.38"),
        (Direction.LONG, ProductType.CNC, 1, "1010", "223.52", "776.48"),
    ],
)
def test_golden_to_the_row(
    trade_engine: Engine, direction: Direction, product: ProductType, days: int, price: str, charges: str, net: str
) -> None:
    trade = open_trade(trade_engine, direction, product_type=product, entered_at=CLOCK.now() - timedelta(days=days))
    intent = Intent(trade)
    apply(trade_engine, [report(intent.filled(execution(price=price)))])
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], row["open_quantity"], row["exit_intent_id"]) == ("CLOSED", 0, intent.intent_id)
    assert (row["gross_pnl"], row["charges"], row["net_pnl"]) == (Decimal(1000), Decimal(charges), Decimal(net))
    assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1


def test_charge_lines_add_up_to_their_closure(trade_engine: Engine) -> None:
    trade = open_trade(trade_engine)
    apply(trade_engine, [report(Intent(trade).filled(execution()))])
    (line_sum,) = rows(trade_engine, "SELECT sum(amount) AS total, count(*) AS n FROM charge_lines")
    assert line_sum == {"total": Decimal("82.72"), "n": 10}


def test_partial_and_final_fills_in_one_batch_close_once(trade_engine: Engine) -> None:
    trade = open_trade(trade_engine)
    first, second = execution(40, nth=1), execution(60, nth=2)
    intent = Intent(trade)
    apply(trade_engine, [report(intent.partially_filled(first)), report(intent.filled(first, second))])
    closures = rows(trade_engine, "SELECT nth, quantity, final, charges FROM trade_closures ORDER BY nth")
    assert [(row["nth"], row["quantity"], row["final"]) for row in closures] == [(1, 40, False), (2, 60, True)]
    assert sum(row["charges"] for row in closures) == Decimal("82.72")
    assert stored(trade_engine, trade.trade_id)["charges"] == Decimal("82.72")
    assert emitted(trade_engine, "TradePartiallyClosed", trade.trade_id) == 1
    assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1


def test_a_cancelled_intent_books_its_fills_and_the_rest_exits(trade_engine: Engine) -> None:
    trade = open_trade(trade_engine)
    apply(trade_engine, [report(Intent(trade).cancelled(execution(30)))])
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], row["open_quantity"], row["net_pnl"]) == ("OPEN", 70, None)
    stop = Intent(trade, ExitReason.STOP_LOSS, quantity=70)
    apply(trade_engine, [report(stop.filled(execution(70, "990", nth=2)))])
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], row["exit_reason"], row["exit_intent_id"]) == ("CLOSED", "STOP_LOSS", stop.intent_id)
    assert row["gross_pnl"] == Decimal(30 * 10 - 70 * 10)
    assert row["exit_price"] == Decimal("996.0000")


def test_the_same_event_again_changes_nothing(trade_engine: Engine) -> None:
    trade = open_trade(trade_engine)
    told = report(Intent(trade).filled(execution()))
    apply(trade_engine, [told, told])
    before = stored(trade_engine, trade.trade_id)
    assert apply(trade_engine, [told]) == Applied()
    assert stored(trade_engine, trade.trade_id) == before
    assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1


def test_an_older_event_that_comes_late_changes_nothing(trade_engine: Engine) -> None:
    trade, first = open_trade(trade_engine), execution(40)
    intent = Intent(trade)
    apply(trade_engine, [report(intent.filled(first, execution(60, nth=2)))])
    before = stored(trade_engine, trade.trade_id)
    apply(trade_engine, [report(intent.partially_filled(first))])
    assert stored(trade_engine, trade.trade_id) == before


def test_a_late_fill_is_flagged_and_the_result_stays(trade_engine: Engine) -> None:
    trade = open_trade(trade_engine)
    ended = Intent(trade)
    apply(trade_engine, [report(Intent(trade).filled(execution()))])
    before = stored(trade_engine, trade.trade_id)
    apply(trade_engine, [report(ended.late_fill(execution(10, "1", nth=9)))])
    assert stored(trade_engine, trade.trade_id) == before
    flagged = rows(trade_engine, "SELECT intent_id, quantity FROM trade_fills WHERE late")
    assert flagged == [{"intent_id": ended.intent_id, "quantity": 10}]


def test_a_batch_of_many_trades_closes_each(trade_engine: Engine) -> None:
    trades = [open_trade(trade_engine, symbol=f"NSE:S{nth % 3}") for nth in range(50)]
    apply(trade_engine, [report(Intent(trade).filled(execution())) for trade in reversed(trades)])
    assert rows(trade_engine, "SELECT status, count(*) AS n FROM trades GROUP BY status") == [
        {"status": "CLOSED", "n": 50}
    ]
    assert sum(emitted(trade_engine, "TradeClosed", trade.trade_id) for trade in trades) == 50


def test_what_is_wrong_is_refused_and_its_neighbours_are_booked(trade_engine: Engine) -> None:
    trade, other = open_trade(trade_engine), open_trade(trade_engine)
    good = report(Intent(trade).filled(execution()))
    unknown = replace(report(Intent(other).filled(execution())), trade_id=new_id())
    elsewhere = replace(report(Intent(other).filled(execution())), symbol="NSE:TCS")
    applied = apply(trade_engine, [unknown, good, elsewhere])
    assert [(refusal.nth, refusal.code) for refusal in applied.refusals] == [
        (0, "unknown_trade"),
        (2, "contradicts_trade"),
    ]
    assert stored(trade_engine, trade.trade_id)["status"] == "CLOSED"
    assert stored(trade_engine, other.trade_id)["status"] == "OPEN"


def test_a_refused_event_is_accepted_once_its_trade_exists(trade_engine: Engine) -> None:
    trade = open_trade(trade_engine)
    told = report(Intent(trade).filled(execution()))
    assert apply(trade_engine, [replace(told, trade_id=new_id())]).refusals
    assert apply(trade_engine, [told]).bookings
    assert stored(trade_engine, trade.trade_id)["status"] == "CLOSED"


def test_the_inbox_knows_booked_reports_alone(database: Database, trade_engine: Engine) -> None:
    known, held, booked = (open_trade(trade_engine) for _ in range(3))
    before, waits, now = (report(Intent(trade).filled(execution())) for trade in (known, held, booked))
    apply(trade_engine, [before])
    unknown = replace(before, trade_id=new_id(), event_id=new_id())
    rows_of = f"SELECT 1 FROM trades WHERE trade_id IN ('{known.trade_id}', '{held.trade_id}')"
    with held_row(database.admin_url, "trade_management", rows_of):
        applied = apply(trade_engine, [before, waits, unknown, now])
    assert (applied.waiting, [refusal.nth for refusal in applied.refusals]) == ((0, 1), [2])
    assert {row["event_id"] for row in rows(trade_engine, "SELECT event_id FROM inbox")} == {
        before.event_id,
        now.event_id,
    }
    assert apply(trade_engine, [waits]).bookings


def test_a_fill_stored_for_another_trade_is_refused(trade_engine: Engine) -> None:
    trade, other = open_trade(trade_engine), open_trade(trade_engine)
    told = report(Intent(trade).filled(execution()))
    apply(trade_engine, [told])
    with pytest.raises(IntegrityError):
        apply(trade_engine, [replace(told, trade_id=other.trade_id, event_id=new_id())])
    assert stored(trade_engine, other.trade_id)["status"] == "OPEN"


def test_nothing_is_kept_without_commit(trade_engine: Engine) -> None:
    trade = open_trade(trade_engine)
    with unit_of_work(trade_engine) as uow:
        SERVICE.apply_fills(uow, [report(Intent(trade).filled(execution()))])
    assert stored(trade_engine, trade.trade_id)["status"] == "OPEN"
    assert rows(trade_engine, "SELECT * FROM inbox") == []
    assert rows(trade_engine, "SELECT * FROM trade_fills") == []
