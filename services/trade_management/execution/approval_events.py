"""Approved exits, as their events tell them: an exit is asked for before exit-api is."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from confluent_kafka import Message
from msgspec import DecodeError, Meta, Struct
from msgspec.json import Decoder

from services.trade_management.execution.approved_exits import ApprovedExit
from shared.contracts.exits import ExitIntentApproved
from shared.errors import MalformedMessage
from shared.kafka.clients import headers_of
from shared.kafka.record_faults import read_record
from shared.outbox.signatures import TrustedKeys

log = logging.getLogger(__name__)

_TYPE = ExitIntentApproved.event_type()


class _Approved(Struct, frozen=True, gc=False):
    """Fields of `ExitIntentApproved` for a request."""

    intent_id: UUID
    trade_id: UUID
    quantity: Annotated[int, Meta(gt=0)]
    executable: bool = True


_DECODER = Decoder(_Approved)


def approved_exits(records: Iterable[Message], trusted: TrustedKeys) -> list[ApprovedExit]:
    """Return the exits to execute among these records, without record-only ones.

    An event with another quantity could have more executed than its trade covers, so a trusted key must have signed it.
    A record not to be believed is left out with a message in the log: if there is such an exit, exit-api tells of it.
    """
    found = list[ApprovedExit]()
    for record in records:
        headers = headers_of(record)
        if headers.get("ce_type") != _TYPE:
            continue
        try:
            trusted.verify(record, headers)
            event = read_record(_read, record)
        except MalformedMessage as error:
            log.warning(
                "%s-%s@%s: no exit is asked for: %s", record.topic(), record.partition(), record.offset(), error
            )
            continue
        if event.executable:
            found.append(ApprovedExit(event.intent_id, event.trade_id, event.quantity))
    return found


def _read(record: Message) -> _Approved:
    value = record.value()
    try:
        return _DECODER.decode(value or b"")
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"{_TYPE}: {error}") from error
