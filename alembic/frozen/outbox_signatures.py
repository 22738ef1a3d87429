"""The signature of an event as a column beside its headers; the same in every schema with an outbox.

Rows that were written before have none and stay as they are: adding the column rewrites nothing.
"""

from __future__ import annotations

from frozen.outbox_headers import COLUMNS, CREATE_HISTORY, DROP_HISTORY

ADD_SIGNATURES = """
ALTER TABLE outbox_event ADD COLUMN signature text;
ALTER TABLE outbox_archive ADD COLUMN signature text;
ALTER TABLE outbox_parked ADD COLUMN signature text, ADD COLUMN discard_signature text;
COMMENT ON COLUMN outbox_event.signature IS 'the header ce_signature; null: written before events were signed';
COMMENT ON COLUMN outbox_parked.discard_signature IS 'of the Discarded event that an operator asked for';
GRANT UPDATE (discard_signature) ON outbox_parked TO {writer};
"""

DROP_SIGNATURES = """
ALTER TABLE outbox_parked DROP COLUMN signature, DROP COLUMN discard_signature;
ALTER TABLE outbox_archive DROP COLUMN signature;
ALTER TABLE outbox_event DROP COLUMN signature;
"""


def add_signatures(writer: str) -> str:
    """Return the DDL that makes room for signatures; role `writer` signs Discarded events."""
    history = CREATE_HISTORY.format(headers=f"{COLUMNS}, signature", writer=writer)
    return DROP_HISTORY + ADD_SIGNATURES.format(writer=writer) + history


def drop_signatures(writer: str) -> str:
    """Return the way back."""
    return DROP_HISTORY + DROP_SIGNATURES + CREATE_HISTORY.format(headers=COLUMNS, writer=writer)
