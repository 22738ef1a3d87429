"""A small consistent system, for tests to break at exactly one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import psycopg

from services.checker.broker_books import BrokerBooks
from services.checker.checker import judge, reading
from services.checker.exit_books import Fill
from services.checker.finding import Rule
from services.checker.kafka_log import LogRecord
from services.checker.outbox_rows import read_outbox, read_parked
from shared.clock import SystemClock
from shared.contracts.discarded import Discarded
from shared.contracts.events import Event
from shared.contracts.exits import ExitIntentApproved, ExitIntentFilled, ExitSignalPublished
from shared.contracts.exits import Fill as FillOnTheWire
from shared.contracts.topics import TopicNames
from shared.contracts.trades import TradeClosed, TradeEvent, TradeOpened
from shared.contracts.vocabulary import Direction, ExitReason, ProductType
from shared.exit_rules.plan import ExitPlan
from shared.ids import client_order_id, new_id
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.engine import open_engine
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from tests.support.servers import Database
from tests.support.signing import SIGNER

AT = datetime(2026, 1, 13, 4, 0, tzinfo=UTC)
SYMBOL = "NSE:INFY"
ENTRY, EXIT, QUANTITY, CHARGES = Decimal("1000.0000"), Decimal("1010.0000"), 100, Decimal("82.7200")

EXIT_ROWS = """
SET search_path = exit_qualification;
SET session_replication_role = replica;
INSERT INTO exit_signals (signal_id, trade_id, symbol, direction, exit_reason, episode_id, detected_price, detected_at)
VALUES (%(signal_id)s, %(trade_id)s, 'NSE:INFY', 'LONG', 'TARGET', 1, 1010, %(at)s);
INSERT INTO exit_intents (intent_id, signal_id, trade_id, user_broker_id, symbol, direction, exit_reason, episode_id,
  status, quantity, filled_quantity, average_price, order_type, product_type, detected_price, executable, gates,
  client_order_id, broker_order_id, submitted_at, placed_at, filled_at)
VALUES (%(intent_id)s, %(signal_id)s, %(trade_id)s, 'paper', 'NSE:INFY', 'LONG', 'TARGET', 1,
  'FILLED', 100, 100, 1010, 'MARKET', 'MIS', 1010, true, '[]', %(tag)s, '17', %(at)s, %(at)s, %(at)s);
INSERT INTO exit_fills (broker, account, trading_day, exchange, broker_order_id, broker_trade_id, intent_id, trade_id,
  quantity, price, filled_at)
VALUES ('kite', 'PAPER', '2026-01-13', 'NSE', '17', '1', %(intent_id)s, %(trade_id)s, 60, 1010, %(at)s),
       ('kite', 'PAPER', '2026-01-13', 'NSE', '17', '2', %(intent_id)s, %(trade_id)s, 40, 1010, %(at)s);
"""
TRADE_ROWS = """
SET search_path = trade_management;
INSERT INTO trades (trade_id, symbol, direction, product_type, user_broker_id, quantity, open_quantity, entry_price,
  exit_plan, entered_at, status, exit_price, exit_reason, gross_pnl, charges, net_pnl, closed_at, exit_intent_id)
VALUES (%(trade_id)s, 'NSE:INFY', 'LONG', 'MIS', 'paper', 100, 0, 1000, '{}', %(at)s, 'CLOSED', 1010, 'TARGET',
  1000, 82.72, 917.28, %(at)s, %(intent_id)s);
INSERT INTO trade_fills (trade_id, intent_id, broker_order_id, broker_trade_id, exit_reason, quantity, price, filled_at)
VALUES (%(trade_id)s, %(intent_id)s, '17', '1', 'TARGET', 60, 1010, %(at)s),
       (%(trade_id)s, %(intent_id)s, '17', '2', 'TARGET', 40, 1010, %(at)s);
INSERT INTO trade_closures (closure_id, trade_id, nth, exit_intent_id, exit_reason, quantity, exit_price, gross_pnl,
  charges, net_pnl, final, closed_at)
VALUES (%(closure_id)s, %(trade_id)s, 1, %(intent_id)s, 'TARGET', 100, 1010, 1000, 82.72, 917.28, true, %(at)s);
INSERT INTO charge_lines (closure_id, leg, charge, amount)
VALUES (%(closure_id)s, 'ENTRY', 'BROKERAGE', 42.72), (%(closure_id)s, 'EXIT', 'BROKERAGE', 40);
"""


@dataclass
class SoundSystem:
    """One LONG trade, closed at its target by two fills of one order; the log and the broker's books as lists."""

    database: Database
    trade_id: UUID = field(default_factory=new_id)
    intent_id: UUID = field(default_factory=new_id)
    signal_id: UUID = field(default_factory=new_id)
    log: list[LogRecord] = field(default_factory=list)
    orders: list[dict[str, object]] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)

    @property
    def tag(self) -> str:
        """The tag of the order."""
        return client_order_id(self.intent_id)

    def make(self) -> None:
        """Write its rows and events, and publish them."""
        self.execute(EXIT_ROWS, **self._names())
        self.execute(TRADE_ROWS, **self._names())
        self._emit(EXIT_QUALIFICATION, self._exit_events())
        self._emit(TRADE_MANAGEMENT, self._trade_events())
        self._publish()
        self.execute(
            "INSERT INTO trade_management.inbox VALUES ('trade-fills', %(event_id)s)", event_id=self.filled_id()
        )
        self.orders.append(
            {
                "order_id": "17",
                "tag": self.tag,
                "status": "COMPLETE",
                "transaction_type": "SELL",
                "filled_quantity": QUANTITY,
            }
        )
        self.fills.extend([Fill("17", "1", 60, EXIT), Fill("17", "2", 40, EXIT)])

    def execute(self, script: str, **parameters: object) -> None:
        """Run statements as the administrator, whom no grant and no trigger holds back."""
        with psycopg.connect(self.database.admin_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as admin:
            admin.execute(script, parameters or None)

    def park(self, event: type[Event]) -> None:
        """Take the record of an event out of the log: it is parked instead, in the outbox of its service."""
        record = self.record_of(event)
        self.log.remove(record)
        schema = "trade_management" if issubclass(event, TradeEvent) else "exit_qualification"
        self.execute(
            f"INSERT INTO {schema}.outbox_parked (event_id, shard, id, topic, key, sequence, ce_type, ce_source,"
            " ce_subject, ce_time, traceparent, payload, reason)"
            " SELECT event_id, shard, id, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, traceparent,"
            " payload, 'too large'"
            f" FROM {schema}.outbox_event WHERE event_id = %(event_id)s",
            event_id=record.event_id,
        )

    def discard(self, event: type[Event]) -> None:
        """A Discarded event in place of an event's record."""
        record = self.record_of(event)
        told = replace(record, event_type=Discarded.event_type(), payload=b"{}")
        self.log[self.log.index(record)] = told
        schema = "trade_management" if issubclass(event, TradeEvent) else "exit_qualification"
        self.execute(
            f"INSERT INTO {schema}.outbox_discarded"
            " SELECT event_id, shard, topic, key, sequence, ce_type, ce_subject, '', 'me'"
            f" FROM {schema}.outbox_event WHERE event_id = %(event_id)s",
            event_id=record.event_id,
        )

    def broken_rules(self) -> set[Rule]:
        """The checker's findings."""
        with (
            reading(self.database.admin_url, EXIT_QUALIFICATION) as exit_side,
            reading(self.database.admin_url, TRADE_MANAGEMENT) as trade_side,
        ):
            rows = [*read_outbox(exit_side), *read_outbox(trade_side)]
            parked = [*read_parked(exit_side), *read_parked(trade_side)]
            found = judge(exit_side, trade_side, rows, parked, self.log, BrokerBooks(self.orders, self.fills))
        return {finding.rule for finding in found if not finding.holds}

    def record_of(self, event: type[Event]) -> LogRecord:
        """The one record of an event."""
        return next(record for record in self.log if record.event_type == event.event_type())

    def filled_id(self) -> str:
        """The id of ExitIntentFilled."""
        return self.record_of(ExitIntentFilled).event_id

    def _names(self) -> dict[str, object]:
        return {
            "trade_id": self.trade_id,
            "intent_id": self.intent_id,
            "signal_id": self.signal_id,
            "closure_id": new_id(),
            "tag": self.tag,
            "at": AT,
        }

    def _emit(self, schema: str, events: Sequence[Event]) -> None:
        engine = open_engine(self.database.admin_url, schema, application="test")
        with UnitOfWork(engine, Outbox(TopicNames(), SystemClock(), SIGNER)) as uow:
            uow.emit(*events)
            uow.commit()
        engine.dispose()

    def _publish(self) -> None:
        """A relay's records of the outboxes: per key in order, everything on one partition a topic."""
        query = """
            SELECT event_id::text, topic, key, ce_type, sequence, payload, created_at FROM {}.outbox_event ORDER BY id
        """
        with psycopg.connect(self.database.admin_url) as admin:
            for schema in (EXIT_QUALIFICATION, TRADE_MANAGEMENT):
                for event_id, topic, key, kind, sequence, payload, at in admin.execute(query.format(schema)):
                    offset = len(self.log)
                    self.log.append(LogRecord(topic, 0, offset, key, event_id, kind, sequence, bytes(payload), at))

    def _exit_events(self) -> list[Event]:
        about = {
            "trade_id": self.trade_id,
            "signal_id": self.signal_id,
            "symbol": SYMBOL,
            "direction": Direction.LONG,
            "exit_reason": ExitReason.TARGET,
            "episode_id": 1,
        }
        intent = {
            **about,
            "intent_id": self.intent_id,
            "user_broker_id": "paper",
            "quantity": QUANTITY,
            "client_order_id": self.tag,
            "occurred_at": AT,
        }
        fills = [
            FillOnTheWire(broker_order_id="17", broker_trade_id=n, quantity=q, price=EXIT, filled_at=AT)
            for n, q in (("1", 60), ("2", 40))
        ]
        filled = {"broker_order_id": "17", "average_price": EXIT, "placed_at": AT, "filled_at": AT, "fills": fills}
        return [
            ExitSignalPublished.model_validate({**about, "detected_price": EXIT, "detected_at": AT}),
            ExitIntentApproved.model_validate(intent),
            ExitIntentFilled.model_validate({**intent, **filled, "filled_quantity": QUANTITY, "time_to_fill_ms": 5}),
        ]

    def _trade_events(self) -> list[Event]:
        about = {
            "trade_id": self.trade_id,
            "symbol": SYMBOL,
            "direction": Direction.LONG,
            "product_type": ProductType.MIS,
            "user_broker_id": "paper",
            "quantity": QUANTITY,
            "entry_price": ENTRY,
        }
        closed = {
            "exit_intent_id": self.intent_id,
            "exit_price": EXIT,
            "exit_reason": ExitReason.TARGET,
            "gross_pnl": Decimal(1000),
            "charges": CHARGES,
            "net_pnl": 1000 - CHARGES,
            "closed_at": AT,
        }
        plan = ExitPlan(target=EXIT, stop_loss=Decimal(990))
        return [
            TradeOpened.model_validate({**about, "exit_plan": plan, "entered_at": AT}),
            TradeClosed.model_validate({**about, **closed}),
        ]
