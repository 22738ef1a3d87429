"""The statements of services for every tick, order and fill: each can be answered by an index alone.

Planned without knowing the parameters, over empty tables and with scans of whole tables forbidden: a table scanned
all the same has no fitting index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, TextClause, create_engine, event

from services.exit_qualification.storage import (
    exit_episodes,
    exit_fills,
    exit_intents,
    intent_batches,
    market_facts,
    new_exits,
    open_trades,
    order_budgets,
    order_queues,
    protective_stops,
    queued_exits,
    send_fence,
    tick_checkpoints,
    trade_adjustments,
    trade_holds,
    waiting_trades,
)
from services.exit_qualification.storage import residuals as remainders
from services.exit_qualification.storage.exit_lists import ExitFilter, ExitLists
from services.exit_qualification.storage.pending_counts import pending_counts
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository, StopFilter
from services.trade_management.storage import closures, fills, trades, user_brokers, waiting_fills
from services.trade_management.storage.trades import TradeRepository, WantedTrades
from shared.contracts.vocabulary import TradeStatus
from shared.ids import new_id
from shared.outbox import inbox
from shared.outbox import writing as outbox
from tests.support.plans import generic_plan, whole_table_scans
from tests.support.servers import Database

FEW_ROWS = {
    "kill_switch",
    "outbox_origin",
    "rollout",
    "trade_holds",
    "user_brokers",
    "instrument_loads",
    "market_calendars",
    "waiting_fills",
    "waiting_trades",
    "queued_exits",
}
"""Switches, brokers and calendars: a handful of rows. Waiting work: none but for moments."""

NOT_HOT = {"RESET", "FENCE_ALL", "STORED", "SYMBOL_PARTITIONS", "MOVE", "WAITING_ERRORS", "OPEN_AMONG"}
"""Operators' own, pages, and a worker's questions once when it joins."""


def statements_of(*modules: ModuleType) -> Mapping[str, TextClause]:
    """The named statements of repositories."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": statement
        for module in modules
        for name, statement in vars(module).items()
        if isinstance(statement, TextClause) and name not in NOT_HOT
    }


@pytest.fixture
def admin(database: Database) -> Iterator[psycopg.Connection]:
    """The database as its owner sees it, no statement reading a whole table unless it has to."""
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")
        yield connection


@pytest.mark.parametrize(
    ("schema", "modules"),
    [
        (
            "exit_qualification",
            (
                tick_checkpoints,
                exit_episodes,
                intent_batches,
                order_budgets,
                order_queues,
                send_fence,
                remainders,
                waiting_trades,
                queued_exits,
                market_facts,
                exit_fills,
                exit_intents,
                new_exits,
                open_trades,
                inbox,
                outbox,
            ),
        ),
        ("trade_management", (fills, trades, closures, user_brokers, waiting_fills, inbox, outbox)),
    ],
)
def test_no_hot_statement_reads_a_whole_table(
    admin: psycopg.Connection, schema: str, modules: tuple[ModuleType, ...]
) -> None:
    admin.execute(f"SET search_path = {schema}")
    hot = statements_of(*modules)
    assert len(hot) >= 6
    scans = {name: whole_table_scans(generic_plan(admin, statement)) - FEW_ROWS for name, statement in hot.items()}
    assert {name: tables for name, tables in scans.items() if tables} == {}


BY_IDS = re.compile(r":(?:trade|intent)_ids?\b")
OF_THE_BOOK = re.compile(
    r"open_trades_(?:of_|to_)|exit_intents_(?:pending|ended|filled|unsent|dark)|trades_(?:open|closed_at|by_status)"
)
"""Indexes by status, of all open trades or pending exits."""

NOT_BY_IDS_ALONE = {"HELD_BY_STOPS", "HELD"}
"""Of one trade or of all; a page of waiting exits, after a given one."""

EVENING = (
    "SET LOCAL session_replication_role = replica",
    "INSERT INTO exit_qualification.open_trades (trade_id, symbol, partition, user_broker_id, direction, product_type,"
    " quantity, entry_price, exit_plan, entered_at, status)"
    " SELECT gen_random_uuid(), 'NSE:INFY', 0, 'paper', 'LONG', 'MIS', 1, 1, '{}', now(), 'CLOSED'"
    " FROM generate_series(1, 2000)",
    "INSERT INTO exit_qualification.exit_intents (intent_id, signal_id, trade_id, user_broker_id, symbol, direction,"
    " exit_reason, episode_id, status, quantity, order_type, product_type, executable, gates, client_order_id,"
    " cancel_reason, ended_at)"
    " SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'paper', 'NSE:INFY', 'LONG', 'TARGET', 1,"
    " 'CANCELLED', 1, 'MARKET', 'MIS', true, '[]', lpad(n::text, 20, 'X'),"
    " 'OPERATOR', now() FROM generate_series(1, 2000) AS n",
    "INSERT INTO trade_management.trades (trade_id, symbol, user_broker_id, direction, product_type, quantity,"
    " open_quantity, entry_price, exit_plan, entered_at, status, exit_price, exit_reason, gross_pnl, closed_at,"
    " exit_intent_id)"
    " SELECT gen_random_uuid(), 'NSE:INFY', 'paper', 'LONG', 'MIS', 1, 0, 1, '{}', now(), 'CLOSED', 1, 'TARGET', 0,"
    " now(), gen_random_uuid()"
    " FROM generate_series(1, 2000)",
    "ANALYZE exit_qualification.open_trades, exit_qualification.exit_intents, trade_management.trades",
)


@pytest.fixture
def evening(admin: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Statistics of a database without an open trade or a pending exit; tomorrow's come before the next ANALYZE."""
    with admin.transaction(force_rollback=True):
        for statement in EVENING:
            admin.execute(statement)
        yield admin


@pytest.mark.parametrize(
    ("schema", "modules"),
    [
        (
            "exit_qualification",
            (
                exit_episodes,
                exit_fills,
                exit_intents,
                intent_batches,
                new_exits,
                open_trades,
                order_queues,
                protective_stops,
                queued_exits,
                send_fence,
                trade_adjustments,
                trade_holds,
                waiting_trades,
            ),
        ),
        ("trade_management", (closures, fills, trades, waiting_fills)),
    ],
)
def test_statements_of_given_ids_read_no_more_rows_than_those(
    evening: psycopg.Connection, schema: str, modules: tuple[ModuleType, ...]
) -> None:
    evening.execute(f"SET search_path = {schema}")
    by_ids = {name: one for name, one in statements_of(*modules).items() if BY_IDS.search(one.text)}
    assert len(by_ids) >= 6
    plans = {name: generic_plan(evening, one) for name, one in by_ids.items()}
    reading = {name: plan for name, plan in plans.items() if OF_THE_BOOK.search(plan)}
    assert {name for name in reading if name.rpartition(".")[2] not in NOT_BY_IDS_ALONE} == set(), reading


LOOKED_UP = (market_facts.READ, send_fence.MAY_STILL_BE_SENT, order_queues.FIND_PENDING_APPROVED, order_queues.NEXT_DUE)


@pytest.mark.parametrize("statement", LOOKED_UP)
def test_an_exit_reads_no_price_but_its_own(admin: psycopg.Connection, statement: TextClause) -> None:
    admin.execute("SET search_path = exit_qualification")
    steps = generic_plan(admin, statement).splitlines()
    looks = {steps[n + 1].strip() for n, step in enumerate(steps) if "tick_symbols" in step or "market_quotes" in step}
    assert looks
    assert all(re.fullmatch(r"Index Cond: \(symbol = i(_\d)?\.symbol\)", look) for look in looks), looks


def noting(url: str, schema: str) -> Iterator[tuple[Connection, list[str]]]:
    engine, sent = create_engine(url), list[str]()

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET search_path = {schema}")
        yield connection, sent
    engine.dispose()


@pytest.fixture
def read(database: Database) -> Iterator[tuple[Connection, list[str]]]:
    """A connection of exit-api, and every statement on it."""
    yield from noting(database.exit_url, "exit_qualification")


@pytest.fixture
def read_trades(database: Database) -> Iterator[tuple[Connection, list[str]]]:
    """A connection of trade-api, and every statement on it."""
    yield from noting(database.trade_url, "trade_management")


def test_page_of_pending_exits_is_read_in_order_without_sort(
    admin: psycopg.Connection, read: tuple[Connection, list[str]]
) -> None:
    connection, sent = read
    admin.execute("SET search_path = exit_qualification")
    later = (datetime(2026, 1, 13, tzinfo=UTC), new_id())
    for wanted, after in ((ExitFilter(), None), (ExitFilter(symbol="NSE:INFY"), None), (ExitFilter(), later)):
        ExitLists(connection).pending(wanted, 51, after)
        plan = generic_plan(admin, sent[-1])
        assert "exit_intents_pending_oldest" in plan
        assert "Sort" not in plan
        assert ("Index Cond: (ROW(created_at, intent_id) > ROW(" in plan) is (after is not None)


def test_an_exit_is_found_by_indexes_of_order_ids(
    admin: psycopg.Connection, read: tuple[Connection, list[str]]
) -> None:
    connection, sent = read
    admin.execute("SET search_path = exit_qualification")
    ExitLists(connection).oldest(ExitFilter(order_id="B7"), 100)
    plan = generic_plan(admin, sent[-1])
    assert "exit_intents_broker_order" in plan and "exit_intents_client_order_key" in plan


def test_a_protective_stop_is_found_by_indexes_of_order_ids(
    admin: psycopg.Connection, read: tuple[Connection, list[str]]
) -> None:
    connection, sent = read
    admin.execute("SET search_path = exit_qualification")
    ProtectiveStopRepository(connection).find(StopFilter(order_id="B7"), None, 2)
    plan = generic_plan(admin, sent[-1])
    assert "protective_stops_broker_order" in plan and "protective_stops_client_order_id_key" in plan


def test_pending_exits_are_counted_through_an_index_of_them_alone(
    admin: psycopg.Connection, read: tuple[Connection, list[str]]
) -> None:
    connection, sent = read
    admin.execute("SET search_path = exit_qualification")
    pending_counts(connection, ExitFilter(symbol="NSE:INFY"))
    assert "exit_intents_pending" in generic_plan(admin, sent[-1])


@pytest.mark.parametrize(
    ("status", "symbol", "index"),
    [
        (None, None, "trades_newest"),
        (TradeStatus.OPEN, None, "trades_by_status"),
        (None, "NSE:INFY", "trades_by_symbol"),
        (TradeStatus.OPEN, "NSE:INFY", "trades_open_of_symbol"),
    ],
)
def test_page_of_trades_is_read_in_order_without_filter(
    admin: psycopg.Connection,
    read_trades: tuple[Connection, list[str]],
    status: TradeStatus | None,
    symbol: str | None,
    index: str,
) -> None:
    connection, sent = read_trades
    admin.execute("SET search_path = trade_management")
    after = (datetime(2026, 1, 13, tzinfo=UTC), new_id())
    TradeRepository(connection).page(WantedTrades(status, symbol, after, 51))
    plan = generic_plan(admin, sent[-1])
    assert f"using {index} on trades" in plan
    assert "Filter" not in plan
    assert "Sort" not in plan
