"""Charge lines written as rows become a document of their closure, and rows again on the way back."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from shared.ids import new_id
from shared.postgres.migrations import migrate
from shared.postgres.revisions import TRADE_MANAGEMENT
from tests.integration.migrations.test_outbox_headers import Connection, migrator_of
from tests.support.servers import Database

BEFORE, AFTER = "V022", "V023"
TRADE = """
INSERT INTO trades (trade_id, symbol, direction, product_type, user_broker_id, quantity, open_quantity, entry_price,
                    exit_plan, entered_at)
VALUES (%s, 'NSE:INFY', 'LONG', 'MIS', 'paper', 100, 100, 1000, '{}', now())
"""
CLOSURE = """
INSERT INTO trade_closures (closure_id, trade_id, nth, exit_intent_id, exit_reason, quantity, exit_price, gross_pnl,
                            charges, net_pnl, final, closed_at)
VALUES (%s, %s, %s, %s, 'TARGET', 10, 1010, 100, 45, 55, false, now())
"""
LINE = "INSERT INTO charge_lines (closure_id, leg, charge, amount) VALUES (%s, %s, %s, %s)"
LINES = "SELECT leg, charge, amount FROM charge_lines WHERE closure_id = %s ORDER BY leg, charge"
DOCUMENT = "SELECT lines FROM trade_closures WHERE closure_id = %s"

WRITTEN = [
    ("ENTRY", "BROKERAGE", Decimal("20.0000")),
    ("EXIT", "BROKERAGE", Decimal("20.0000")),
    ("EXIT", "STT", Decimal("5.0000")),
]


def closed_by_code_of_before(connection: Connection, nth: int, trade_id: UUID) -> UUID:
    """A closure with its lines, as rows of `charge_lines`."""
    closure_id = new_id()
    connection.execute(CLOSURE, (closure_id, trade_id, nth, new_id()))
    for line in WRITTEN:
        connection.execute(LINE, (closure_id, *line))
    return closure_id


def test_charge_lines_of_earlier_code_keep_closures_both_ways(empty_database: Database) -> None:
    url, trade_id = empty_database.migrator_url, new_id()
    migrate(url, TRADE_MANAGEMENT, BEFORE)
    with migrator_of(empty_database, TRADE_MANAGEMENT) as connection:
        connection.execute(TRADE, (trade_id,))
        closures = [closed_by_code_of_before(connection, 1, trade_id)]
        without = new_id()
        connection.execute(CLOSURE, (without, trade_id, 2, new_id()))
    migrate(url, TRADE_MANAGEMENT, AFTER)
    with migrator_of(empty_database, TRADE_MANAGEMENT) as connection:
        closures.append(closed_by_code_of_before(connection, 3, trade_id))
        for closure_id in closures:
            assert connection.execute(LINES, (closure_id,)).fetchall() == WRITTEN
            [document] = connection.execute(DOCUMENT, (closure_id,)).fetchone() or ()
            assert {leg: set(charges) for leg, charges in document.items()} == {
                "ENTRY": {"BROKERAGE"},
                "EXIT": {"BROKERAGE", "STT"},
            }
        assert connection.execute(DOCUMENT, (without,)).fetchone() == ({},)
    migrate(url, TRADE_MANAGEMENT, BEFORE)
    with migrator_of(empty_database, TRADE_MANAGEMENT) as connection:
        for closure_id in closures:
            assert connection.execute(LINES, (closure_id,)).fetchall() == WRITTEN
        assert connection.execute(LINES, (without,)).fetchall() == []
