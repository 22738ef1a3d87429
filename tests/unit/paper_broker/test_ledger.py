"""The ledger commits all or nothing, and its hot queries go over indexes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.paper_broker import gtt_store, order_store
from services.paper_broker.accounts import accounts_of
from services.paper_broker.fault_effects import OrderEffect
from services.paper_broker.faults import FaultRequest
from services.paper_broker.ledger import FILE_NAME, Admission, Ledger
from services.paper_broker.positions import Entry
from shared.errors import ConfigurationError
from shared.settings import Settings

VERSION_1 = Path(__file__).with_name("ledger_version_1.sql")
ENTRY = Entry("t", "PAPER", "NSE:INFY", "MIS", 1, 10, 0)


def test_a_block_that_raises_leaves_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with pytest.raises(RuntimeError), ledger.write() as books:
        books.positions.add_entry(ENTRY, "2026-01-13")
        books.market.save_offsets({("ticks", 0): 5})
        raise RuntimeError
    with ledger.read() as books:
        assert (books.positions.of_account("PAPER", "2026-01-13"), books.market.offsets()) == ([], {})
    ledger.close()


def test_admission_follows_what_is_committed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    always = FaultRequest.model_validate({"symbol": None, "count": None, "effect": {"kind": "expire_session"}})
    with ledger.write() as books:
        books.sessions.log_out("A", 1, is_renewable=True)
        books.faults.add("B", always)
        assert ledger.admission == Admission(frozenset(), frozenset())  # not committed yet
    assert ledger.admission == Admission(frozenset("A"), frozenset("B"))
    with pytest.raises(RuntimeError), ledger.write() as books:
        books.sessions.log_in("A", 2)
        books.faults.remove("B")
        raise RuntimeError
    assert ledger.admission == Admission(frozenset("A"), frozenset("B"))
    ledger.close()
    ledger = Ledger(tmp_path)  # as after a restart
    assert ledger.admission == Admission(frozenset("A"), frozenset("B"))
    with ledger.write() as books:
        books.sessions.log_in("A", 2)
        books.faults.remove("B")
    assert ledger.admission == Admission(frozenset(), frozenset())
    ledger.close()


def test_a_rule_added_in_a_transaction_is_met_within_it(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    once = FaultRequest.model_validate({"symbol": None, "count": 1, "effect": {"kind": "reject", "message": "no"}})
    with ledger.write() as books:
        books.faults.add("A", once)
        assert len(books.faults.take("A", "NSE:INFY", OrderEffect)) == 1
        assert books.faults.take("A", "NSE:INFY", OrderEffect) == []
    assert ledger.admission.with_faults == frozenset()
    ledger.close()


def test_another_log_forgets_the_offsets_of_its_topic(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.write() as books:
        assert not books.market.begin_log("ticks", "one")
        books.market.save_offsets({("ticks", 0): 5, ("trades", 0): 7})
    with ledger.write() as books:
        assert not books.market.begin_log("ticks", "one")
        assert books.market.offsets() == {("ticks", 0): 5, ("trades", 0): 7}
        assert books.market.begin_log("ticks", "two")
        assert books.market.offsets() == {("trades", 0): 7}
    ledger.close()


def test_a_ledger_of_another_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigurationError, match="version 99"):
        Ledger(tmp_path)


def test_version_1_ledger_keeps_orders_and_accepts_stops(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / FILE_NAME)
    old.executescript(VERSION_1.read_text())
    old.close()
    for _ in range(2):  # the second opening finds the ledger upgraded
        ledger = Ledger(tmp_path)
        with ledger.read() as books:
            ((order, plan),) = books.orders.at_work("NSE:INFY", 1_768_264_200_000)
            (fill,) = books.orders.fills_of_order(order.number)
            (state,) = books.orders.states_of(order)
        assert (order.tag, order.filled_quantity, order.trigger_units, len(plan)) == ("OLD", 40, None, 1)
        assert (fill.quantity, state.filled_quantity, state.quantity) == (40, 0, 100)
        ledger.close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert _layout(connection) == _layout(_fresh(tmp_path / "fresh"))
    connection.close()


def _fresh(directory: Path) -> sqlite3.Connection:
    Ledger(directory).close()
    return sqlite3.connect(directory / FILE_NAME)


def _layout(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Names and columns of tables, and definitions of indexes; an upgrade may append columns."""
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    columns = connection.execute(
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
    )
    return {*indexes, *columns}


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (order_store._ORDERS_OF_ACCOUNT, "orders_of_account"),
        (order_store._AT_WORK, "orders_at_work "),
        (order_store._WORKING_OF_ACCOUNT, "orders_at_work_of_account"),
        (order_store._TO_RESUME, "orders_to_resume"),
        (order_store._FILLS_OF_ACCOUNT, "orders_of_account"),
        (order_store._FILLS_OF_ORDER, "fills_of_order"),
        (gtt_store._ACTIVE, "gtts_active"),
        (gtt_store._OF_ACCOUNT, "gtts_of_account"),
    ],
)
def test_hot_queries_use_their_index(tmp_path: Path, statement: str, index: str) -> None:
    Ledger(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", [1] * statement.count("?")).fetchall()
    connection.close()
    assert index in json.dumps(plan)


@pytest.mark.parametrize("text", [None, "nonsense", '{"paper": {"api_key": "k"}}'])
def test_unusable_credentials_are_named_and_never_shown(tmp_path: Path, text: str | None) -> None:
    settings = Settings(broker_credentials=SecretStr(text) if text else None)
    with pytest.raises(ConfigurationError, match="EXITFLOW_BROKER_CREDENTIALS") as refused:
        accounts_of(settings)
    assert text is None or text not in str(refused.value)
