"""The ledger commits all or nothing, and its hot queries go over indexes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.paper_broker import order_store
from services.paper_broker.accounts import accounts_of
from services.paper_broker.ledger import FILE_NAME, Ledger
from services.paper_broker.positions import Entry
from shared.errors import ConfigurationError
from shared.settings import Settings

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


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (order_store._ORDERS_OF_ACCOUNT, "orders_of_account"),
        (order_store._AT_WORK, "orders_at_work"),
        (order_store._TO_RESUME, "orders_to_resume"),
        (order_store._FILLS_OF_ACCOUNT, "orders_of_account"),
        (order_store._FILLS_OF_ORDER, "fills_of_order"),
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
