"""`exitflow replay --verify database`: the stored exits of a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.support.servers import Database
from tests.unit.cli.results import Result

TRADE = "00000000-0000-0000-0000-000000000001"
BODY = {
    "trade_id": TRADE, "symbol": "NSE:INFY", "direction": "LONG", "quantity": 100, "entry_price": "1000",
    "exit_plan": {"target": "1010"},
}  # fmt: skip


def test_a_stored_exit_is_compared_with_the_tape(
    database: Database, exitflow: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", database.exit_url)
    monkeypatch.setenv("EXITFLOW_TRADE_DATABASE_URL", database.trade_url)
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute(
            "INSERT INTO exit_qualification.exit_signals (signal_id, trade_id, symbol, direction, exit_reason,"
            " episode_id, detected_price, detected_at) VALUES (gen_random_uuid(), %s, 'NSE:INFY', 'LONG', 'TARGET', 1,"
            " 1010, '2026-01-13T03:45:02Z')",
            (TRADE,),
        )
    book, tape = tmp_path / "book.json", tmp_path / "day.csv"
    book.write_text(json.dumps([BODY]))
    tape.write_text("symbol,ltp,ts\nNSE:INFY,1001,2026-01-13T03:45:01Z\nNSE:INFY,1010,2026-01-13T03:45:02Z\n")
    options = ("--book", str(book), "--verify", "database")
    same = exitflow("replay", str(tape), *options)
    assert same.status == 0, same.err + same.out
    tape.write_text(tape.read_text().replace("1010", "1011"))
    assert "detected_price is 1010.00, not 1011.00" in exitflow("replay", str(tape), *options).out
