"""Closures of trade-fills from Kafka: signed ExitIntentFilled events for trades written to the database."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import psycopg
from confluent_kafka import Producer

from bench.orders.system import System
from bench.orders.usage import Usage, measured
from shared.clock import SystemClock, rfc3339
from shared.contracts.exits import ExitIntentFilled, Fill
from shared.contracts.topics import EXIT_INTENTS
from shared.contracts.vocabulary import Direction, ExitReason
from shared.errors import Unavailable
from shared.ids import new_id, new_traceparent
from shared.outbox.signatures import SIGNATURE_HEADER, EventSigner, SignedParts, signer_of

LIMIT_S = 120
LOOK_S = 0.02
SYMBOL = "NSE:BENCHCLOSE"
INSERT = """
INSERT INTO trade_management.trades (trade_id, symbol, direction, product_type, user_broker_id, quantity, open_quantity,
                                     entry_price, exit_plan, entered_at)
SELECT id, %s, 'LONG', 'MIS', %s, 10, 10, 1000, '{"target": "1010.00"}', clock_timestamp()
  FROM unnest(%s::uuid[]) AS id
"""
IS_ONE_OPEN = "SELECT EXISTS (SELECT FROM trade_management.trades WHERE symbol = %s AND status = 'OPEN')"
"""Counting would read every open row."""


@dataclass(frozen=True)
class Closes:
    """Closures in one go, from the first record on the topic to the last closed row."""

    count: int
    seconds: float
    usage: Usage

    @property
    def per_s(self) -> float:
        """Return the closures a second."""
        return self.count / self.seconds


def close_many(system: System, count: int) -> Closes:
    """Write the trades, produce their fills and wait until the last trade is closed.

    Raises
    ------
    Unavailable
        Not all were closed in time.
    """
    ids = [new_id() for _ in range(count)]
    with psycopg.connect(system.admin_url, autocommit=True) as connection:
        connection.execute(INSERT, (SYMBOL, system.accounts[0], ids))
        connection.execute("ANALYZE trade_management.trades")
        records = _records(ids, system.accounts[0], signer_of(system.credentials.exit_signing_key, "exit_signing_key"))
        producer = Producer({"bootstrap.servers": system.bootstrap_servers, "linger.ms": 5, "log_level": 4})
        clock = SystemClock()
        with measured(system) as usage:
            began = clock.monotonic()
            for key, value, headers in records:
                producer.produce(EXIT_INTENTS, value, key, headers=list(headers.items()))
                producer.poll(0)
            producer.flush(LIMIT_S)
            while connection.execute(IS_ONE_OPEN, (SYMBOL,)).fetchone() != (False,):
                if clock.monotonic() - began > LIMIT_S:
                    raise Unavailable(f"not every trade was closed within {LIMIT_S} s")
                threading.Event().wait(LOOK_S)
            seconds = clock.monotonic() - began
    return Closes(count, seconds, usage)


def _records(ids: Sequence[UUID], account: str, signer: EventSigner) -> list[tuple[str, bytes, dict[str, str]]]:
    """Return a fill of each trade; they share signatures as those of a transaction of exit-orders do."""
    parts = [_parts(_event(trade_id, account, nth)) for nth, trade_id in enumerate(ids)]
    signed = zip(parts, signer.sign_all(parts), strict=True)
    return [(each.key, each.payload, _headers(each, signature)) for each, signature in signed]


def _parts(event: ExitIntentFilled) -> SignedParts:
    return SignedParts(
        topic=EXIT_INTENTS,
        key=event.key,
        sequence="1",
        event_id=str(new_id()),
        event_type=event.event_type(),
        source=event.source,
        subject=event.subject,
        time=rfc3339(SystemClock().now()),
        payload=event.payload(),
    )


def _headers(parts: SignedParts, signature: str) -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": parts.event_id,
        "ce_source": parts.source,
        "ce_type": parts.event_type,
        "ce_time": parts.time,
        "ce_subject": parts.subject,
        "ce_sequence": parts.sequence,
        "content-type": "application/json",
        "traceparent": new_traceparent(),
        SIGNATURE_HEADER: signature,
    }


def _event(trade_id: UUID, account: str, nth: int) -> ExitIntentFilled:
    now, order = SystemClock().now(), f"26112600{nth:07d}"
    price = Decimal("1010.00")
    fill = Fill(broker_order_id=order, broker_trade_id=f"T{nth}", quantity=10, price=price, filled_at=now)
    return ExitIntentFilled(
        trade_id=trade_id,
        intent_id=new_id(),
        signal_id=new_id(),
        user_broker_id=account,
        symbol=SYMBOL,
        direction=Direction.LONG,
        exit_reason=ExitReason.TARGET,
        episode_id=1,
        quantity=10,
        filled_quantity=10,
        average_price=price,
        client_order_id=f"B{nth:019d}",
        broker_order_id=order,
        executable=True,
        placed_at=now,
        occurred_at=now,
        filled_at=now,
        time_to_fill_ms=1,
        fills=[fill],
    )
