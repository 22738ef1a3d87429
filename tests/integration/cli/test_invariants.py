"""The checker passes a consistent system and reports every other: a checker that cannot fail is worthless."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from services.checker.finding import Rule
from shared.clock import SystemClock
from shared.contracts.exits import ExitIntentApproved, ExitIntentFilled
from shared.contracts.trades import TradeClosed, TradeOpened
from shared.ids import new_id
from tests.integration.cli.consistent_system import SoundSystem
from tests.support.servers import Database

NOW = SystemClock().now()
Tamper = Callable[[SoundSystem], None]


@pytest.fixture
def system(database: Database) -> SoundSystem:
    """A consistent system."""
    sound = SoundSystem(database)
    sound.make()
    return sound


def test_a_consistent_system_is_acquitted(system: SoundSystem) -> None:
    assert system.broken_rules() == set()


def test_duplicate_deliveries_are_no_violation(system: SoundSystem) -> None:
    system.log.extend(replace(record, offset=record.offset + 100) for record in list(system.log))
    assert system.broken_rules() == set()


def test_an_event_that_is_parked_is_none_that_is_lost(system: SoundSystem) -> None:
    system.park(TradeClosed)
    assert system.broken_rules() == set()


def test_discarded_event_is_neither_lost_nor_altered(system: SoundSystem) -> None:
    system.discard(TradeClosed)
    assert system.broken_rules() == set()


def test_kept_rows_do_not_judge_older_record(system: SoundSystem) -> None:
    record = system.record_of(TradeOpened)
    system.execute("SELECT trade_management.outbox_make_partition(current_date + 2)")
    system.execute("DELETE FROM trade_management.outbox_event WHERE event_id = %(id)s", id=record.event_id)
    system.log[system.log.index(record)] = replace(record, written_at=NOW - timedelta(days=2))
    assert system.broken_rules() == set()
    change_record(TradeOpened, written_at=NOW)(system)
    assert system.broken_rules() == {Rule.PUBLICATION}


def sql(script: str) -> Tamper:
    """Statements for the administrator alone."""
    return lambda system: system.execute(
        script.replace(":trade", f"'{system.trade_id}'").replace(":intent", f"'{system.intent_id}'")
    )


def change_record(event: type[TradeClosed] | type[TradeOpened] | type[ExitIntentFilled], **changes: object) -> Tamper:
    """Another record in the place of an event's."""

    def tamper(system: SoundSystem) -> None:
        record = system.record_of(event)
        system.log[system.log.index(record)] = replace(record, **changes)  # type: ignore[arg-type]  # its own fields

    return tamper


def lose_record(event: type[TradeClosed] | type[TradeOpened] | type[ExitIntentApproved]) -> Tamper:
    """The relay forgot it."""
    return lambda system: system.log.remove(system.record_of(event))


def invent_record(system: SoundSystem) -> None:
    """An event never committed."""
    record = system.record_of(TradeClosed)
    system.log.append(replace(record, event_id=str(new_id()), key="NSE:SBIN", sequence=1, event_type="other"))


def swap_records(system: SoundSystem) -> None:
    """Two events of a key in the wrong order."""
    opened, closed = system.record_of(TradeOpened), system.record_of(TradeClosed)
    first, second = system.log.index(opened), system.log.index(closed)
    system.log[first], system.log[second] = closed, opened


def close_twice(system: SoundSystem) -> None:
    """The same closure told by two events."""
    system.log.append(replace(system.record_of(TradeClosed), event_id=str(new_id()), sequence=3, offset=99))


def second_order(system: SoundSystem) -> None:
    """A resend without a look-up."""
    system.orders.append({**system.orders[0], "order_id": "18"})


def foreign_order(system: SoundSystem) -> None:
    """An order without an intent."""
    system.orders.append({**system.orders[0], "order_id": "18", "tag": "SOMEBODYELSE00000000"})


def no_order(system: SoundSystem) -> None:
    """A fill unknown to the broker."""
    system.orders.clear()
    system.fills.clear()


def change_order(**changes: object) -> Tamper:
    """The broker says something else of the order."""
    return lambda system: system.orders[0].update(changes)


def change_fill(system: SoundSystem) -> None:
    """The broker says another price."""
    system.fills[0] = replace(system.fills[0], price=Decimal("1010.05"))


SECOND_INTENT = """
SET search_path = exit_qualification;
SET session_replication_role = replica;
DROP INDEX exit_intents_one_live;
INSERT INTO exit_signals (signal_id, trade_id, symbol, direction, exit_reason, episode_id, detected_at)
SELECT gen_random_uuid(), trade_id, symbol, direction, exit_reason, 2, detected_at FROM exit_signals;
INSERT INTO exit_intents (intent_id, signal_id, trade_id, user_broker_id, symbol, direction, exit_reason, episode_id,
  status, quantity, order_type, product_type, executable, gates, client_order_id)
SELECT gen_random_uuid(), s.signal_id, i.trade_id, 'paper', i.symbol, i.direction, i.exit_reason, 2, 'APPROVED', 100,
  'MARKET', 'MIS', true, '[]', repeat('Z', 20)
  FROM exit_intents i JOIN exit_signals s ON s.episode_id = 2;
"""
TOO_MUCH_WANTED = f"""{SECOND_INTENT}
UPDATE exit_intents SET leg = 1 WHERE episode_id = 2;
INSERT INTO open_trades (trade_id, symbol, partition, user_broker_id, direction, product_type, quantity, entry_price,
  exit_plan, entered_at)
SELECT trade_id, symbol, 0, user_broker_id, direction, product_type, 100, 1000, '{{}}', now()
  FROM exit_intents WHERE episode_id = 2
"""
UNKNOWN_INTENT = f"""{SECOND_INTENT}
UPDATE exit_intents SET status = 'UNKNOWN', executable = false, submitted_at = now() WHERE episode_id = 2
"""
WITHOUT_SIGNAL = """
ALTER TABLE exit_qualification.exit_intents DROP CONSTRAINT exit_intents_signal_fkey;
DELETE FROM exit_qualification.exit_signals
"""
OTHER_EPISODE = """
ALTER TABLE exit_qualification.exit_intents DROP CONSTRAINT exit_intents_signal_fkey;
UPDATE exit_qualification.exit_signals SET episode_id = 2
"""
OVERFILLED = """
ALTER TABLE exit_qualification.exit_intents DROP CONSTRAINT exit_intents_filled;
SET session_replication_role = replica;
UPDATE exit_qualification.exit_intents SET filled_quantity = 99
"""
NOT_FILLED = """
SET session_replication_role = replica;
UPDATE exit_qualification.exit_intents
   SET status = 'FAILED', error_code = 'x', filled_quantity = 0, average_price = NULL;
DELETE FROM exit_qualification.exit_fills
"""


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        pytest.param(sql(WITHOUT_SIGNAL), {Rule.SIGNAL}, id="an intent without a signal"),
        pytest.param(sql(OTHER_EPISODE), {Rule.SIGNAL}, id="an intent with the signal of another episode"),
        pytest.param(lose_record(ExitIntentApproved), {Rule.PUBLICATION}, id="an event that was not published"),
        pytest.param(invent_record, {Rule.PUBLICATION}, id="an event without a row"),
        pytest.param(
            sql("DELETE FROM exit_qualification.outbox_event WHERE ce_type LIKE '%Approved%'"),
            {Rule.PUBLICATION},
            id="an event whose row is gone",
        ),
        pytest.param(
            change_record(ExitIntentFilled, payload=b"{}"), {Rule.PUBLICATION}, id="another payload than the row's"
        ),
        pytest.param(change_record(TradeClosed, sequence=3), {Rule.PUBLICATION}, id="a gap in the sequence"),
        pytest.param(swap_records, {Rule.PUBLICATION}, id="the wrong order"),
        pytest.param(change_record(TradeClosed, partition=3), {Rule.PUBLICATION}, id="a key on two partitions"),
        pytest.param(
            sql("UPDATE trade_management.trades SET gross_pnl = 1001, net_pnl = 918.28"),
            {Rule.CLOSURE},
            id="wrong gross",
        ),
        pytest.param(
            sql("UPDATE trade_management.trades SET charges = 80, net_pnl = 920"), {Rule.CLOSURE}, id="wrong charges"
        ),
        pytest.param(sql("UPDATE trade_management.trades SET exit_price = 1009"), {Rule.CLOSURE}, id="wrong price"),
        pytest.param(sql("DELETE FROM trade_management.trade_fills"), {Rule.CLOSURE}, id="closed without fills"),
        pytest.param(
            sql("UPDATE trade_management.trade_fills SET quantity = 50 WHERE broker_trade_id = '2'"),
            {Rule.CLOSURE},
            id="a fill of another quantity than the intent's",
        ),
        pytest.param(
            sql("UPDATE trade_management.trades SET exit_intent_id = gen_random_uuid()"),
            {Rule.CLOSURE},
            id="closed by an intent that there is not",
        ),
        pytest.param(
            sql(NOT_FILLED), {Rule.CLOSURE, Rule.BROKER}, id="closed by an intent that failed while the order filled"
        ),
        pytest.param(
            sql("UPDATE trade_management.trade_closures SET final = false"), {Rule.CLOSURE}, id="no final closure"
        ),
        pytest.param(sql(SECOND_INTENT), {Rule.ONE_EXIT}, id="a second live intent"),
        pytest.param(sql(TOO_MUCH_WANTED), {Rule.ONE_EXIT}, id="a leg beyond the trade's quantity"),
        pytest.param(sql("DELETE FROM trade_management.inbox"), set(), id="an inbox that was pruned after its fills"),
        pytest.param(
            sql("INSERT INTO trade_management.inbox VALUES ('trade-fills', gen_random_uuid())"),
            {Rule.EFFECTS},
            id="an effect of an event that there is not",
        ),
        pytest.param(close_twice, {Rule.PUBLICATION, Rule.EFFECTS}, id="two closures told of one trade"),
        pytest.param(
            lose_record(TradeClosed), {Rule.PUBLICATION, Rule.EFFECTS}, id="a closure that nobody was told of"
        ),
        pytest.param(
            lose_record(TradeOpened), {Rule.PUBLICATION, Rule.EFFECTS}, id="an opening that nobody was told of"
        ),
        pytest.param(sql(UNKNOWN_INTENT), {Rule.OUTCOME}, id="an outcome left unknown"),
        pytest.param(
            sql("DELETE FROM exit_qualification.exit_fills WHERE broker_trade_id = '2'"),
            {Rule.OUTCOME, Rule.CLOSURE, Rule.BROKER},
            id="a fill lost",
        ),
        pytest.param(sql(OVERFILLED), {Rule.OUTCOME, Rule.BROKER}, id="another quantity than its fills"),
        pytest.param(
            sql("SET session_replication_role = replica; UPDATE exit_qualification.exit_intents SET average_price = 1"),
            {Rule.OUTCOME},
            id="another price than its fills",
        ),
        pytest.param(
            sql("GRANT UPDATE ON trade_management.trades TO exitflow_exit"), {Rule.WRITERS}, id="a second writer"
        ),
        pytest.param(
            sql("GRANT UPDATE (status) ON trade_management.trades TO exitflow_relay"),
            {Rule.WRITERS},
            id="a writer of one column",
        ),
        pytest.param(
            sql("GRANT DELETE ON trade_management.trade_fills TO PUBLIC"), {Rule.WRITERS}, id="everybody a writer"
        ),
        pytest.param(
            sql("ALTER TABLE trade_management.trades OWNER TO exitflow_relay"), {Rule.WRITERS}, id="another owner"
        ),
        pytest.param(second_order, {Rule.BROKER}, id="two orders for one intent"),
        pytest.param(foreign_order, {Rule.BROKER}, id="an order that is not ours"),
        pytest.param(no_order, {Rule.BROKER}, id="fills that the broker does not know"),
        pytest.param(change_order(status="REJECTED"), {Rule.BROKER}, id="filled here, rejected there"),
        pytest.param(change_order(filled_quantity=60), {Rule.BROKER}, id="another quantity there"),
        pytest.param(change_order(transaction_type="BUY"), {Rule.BROKER}, id="an order that adds to the position"),
        pytest.param(change_fill, {Rule.BROKER}, id="another price there"),
    ],
)
def test_a_violation_is_convicted_and_nothing_else(system: SoundSystem, tamper: Tamper, broken: set[Rule]) -> None:
    tamper(system)
    assert system.broken_rules() == broken
