"""Events of exits, booked by trade management as trade-fills would."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text

from services.trade_management.domain.fill_report import FillReport
from services.trade_management.fills.reading import read
from shared.contracts.topics import EXIT_INTENTS
from shared.outbox.signatures import SIGNATURE_HEADER
from tests.integration.trade_management.ledger import SERVICE, unit_of_work
from tests.support.records import message
from tests.support.signing import TRUSTED

TOLD = text("""
SELECT key, sequence, event_id, ce_type, ce_source, ce_subject, ce_time, payload, signature FROM outbox_event
 WHERE topic = 'exits.intents.v1' ORDER BY id
""")


def book_told_fills(exits: Engine, trades: Engine) -> None:
    """Let trade management book the outbox of exit qualification, in order; what it knows already changes nothing."""
    with exits.connect() as connection:
        told = connection.execute(TOLD).all()
    with unit_of_work(trades) as uow:
        for row in told:
            report = read(_record(row), TRUSTED)
            if isinstance(report, FillReport):
                applied = SERVICE.apply_fills(uow, [report])
                assert not applied.refusals, applied.refusals
        uow.commit()


def _record(row: Any) -> Any:
    headers = {
        "ce_id": str(row.event_id),
        "ce_type": row.ce_type,
        "ce_source": row.ce_source,
        "ce_subject": row.ce_subject,
        "ce_time": row.ce_time,
        "ce_sequence": str(row.sequence),
        SIGNATURE_HEADER: row.signature,
    }
    pairs = [(name, value.encode()) for name, value in headers.items()]
    return message(EXIT_INTENTS, bytes(row.payload), key_=row.key.encode(), headers_=pairs)
