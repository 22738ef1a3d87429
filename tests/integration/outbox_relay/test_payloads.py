"""Payloads of one transaction travel to the database in one piece, and each row gets its own."""

from __future__ import annotations

from sqlalchemy import text

from shared.outbox.writing import PART
from tests.integration.outbox_relay.outbox_writer import Happened, Writer


def test_each_event_of_a_transaction_keeps_its_own_payload(writer: Writer) -> None:
    events = [Happened(name=f"key-{number}", note="₹'\\\"" * (number % 7)) for number in range(2 * PART + 1)]
    writer.tell(*events)
    with writer.engine.connect() as connection:
        rows = connection.execute(text("SELECT key, payload FROM outbox_event")).all()
    assert {row.key: bytes(row.payload) for row in rows} == {event.key: event.payload() for event in events}
