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
    queued_exits,
    send_fence,
    tick_checkpoints,
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
