"""Batches of records, each in one transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from uuid import UUID

from confluent_kafka import Message
from sqlalchemy import Engine

from services.trade_management.domain.fill_report import FillReport
from services.trade_management.fills.booked import Booked
from services.trade_management.fills.reading import DiscardedEvent, Irrelevant, read
from services.trade_management.fills.waiting_records import message_of, recorded
from services.trade_management.metrics import DEAD_LETTERS, IGNORED
from services.trade_management.storage.waiting_fills import WaitingFillRepository
from services.trade_management.trade_management_service import Applied, TradeManagementService
from shared.clock import Clock
from shared.errors import MalformedMessage
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.record_faults import fault_of, read_record
from shared.outbox.signatures import TrustedKeys
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.hot_path import pipelined, settle
from shared.postgres.row_locks import is_lock_timeout
from shared.runtime.failpoints import Failpoint, failpoint

log = logging.getLogger(__name__)

Read = tuple[Message, FillReport | DiscardedEvent]
Letter = tuple[Message, str, str]
"""A record set aside, with code and reason."""

LOCKED = "another transaction holds a row that its closure needs"


class FillBatches:
    """Applies batches of records. A rejected record goes to the dead letters; the others are applied.

    Thread-safe, for batches without a trade in common.
    """

    def __init__(
        self,
        engine: Engine,
        outbox: Outbox,
        clock: Clock,
        service: TradeManagementService,
        dead_letters: DeadLetters,
        trusted: TrustedKeys,
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._clock = clock
        self._service = service
        self._dead_letters = dead_letters
        self._trusted = trusted
        self._setting_aside = threading.Lock()
        self._numbering = threading.Lock()

    def apply(self, records: Sequence[Message]) -> None:
        """Commit the effects of the records.

        Raises
        ------
        SQLAlchemyError, ExitflowError, KafkaException
            Nothing was committed, or only a first part; the records can be applied again.
        """
        readable = self._readable(records)
        if readable:
            self._commit(readable)

    def _readable(self, records: Sequence[Message]) -> list[Read]:
        """Return the records to act on; count irrelevant ones and set malformed ones aside."""
        readable, letters = list[Read](), list[Letter]()
        for record in records:
            try:
                found = read_record(read, record, self._trusted)
            except MalformedMessage as error:
                letters.append((record, error.code, str(error)))
                continue
            if isinstance(found, Irrelevant):
                IGNORED.labels(found.value).inc()
            else:
                readable.append((record, found))
        self._set_aside(letters)
        return readable

    def _commit(self, batch: Sequence[Read]) -> None:
        """Commit a batch in one transaction; if a record fails or must wait, commit record by record."""
        error = self._try_commit(batch)
        if error is None:
            return
        busy: set[str] = set()  # symbols whose rows a record of this batch has already waited for
        for item in batch:
            if _symbol(item) in busy:
                self._store_waiting(item, LOCKED)
                continue
            record_error = self._try_commit([item]) if len(batch) > 1 else error
            if is_lock_timeout(record_error):
                busy.add(_symbol(item))
            if record_error is not None:
                self._skip(item, record_error)

    def _try_commit(self, batch: Sequence[Read]) -> Exception | None:
        """Commit a batch; return the error if one of its records must be refused or must wait."""
        try:
            self._transaction(batch)
        except Exception as error:
            if _why_wait(error) is None and fault_of(error) is None:
                raise
            return error
        return None

    def _skip(self, read: Read, error: Exception) -> None:
        why = _why_wait(error)
        if why is not None:
            self._store_waiting(read, why)
            return
        self._set_aside([_letter(read[0], error)])

    def _transaction(self, batch: Sequence[Read]) -> None:
        with self._open_unit() as uow, pipelined(uow.connection):
            self._service.skip_discarded(
                uow, [event.event_id for _, event in batch if isinstance(event, DiscardedEvent)]
            )
            reports = [(record, event) for record, event in batch if isinstance(event, FillReport)]
            applied = self._service.apply_fills(uow, [report for _, report in reports])
            WaitingFillRepository(uow.connection).add([recorded(*reports[nth]) for nth in applied.waiting], LOCKED)
            self._end(uow, reports, applied)

    def _end(self, uow: UnitOfWork, reports: Sequence[tuple[Message, FillReport]], applied: Applied) -> None:
        if applied.refusals:
            settle(uow.connection)  # a batch refused by the database leaves no dead letters
            # Before the commit: once the inbox knows an event, a second delivery does not send its dead letter.
            self._set_aside([(reports[each.nth][0], each.code, each.reason) for each in applied.refusals])
        with self._numbering:  # in the database the wait for a symbol's numbers has a limit
            uow.commit()
        failpoint(Failpoint.TRADES_AFTER_COMMIT)
        booked = Booked.of(applied.bookings, (report for _, report in reports))
        booked.count(self._clock.now())
        booked.tell()

    def _store_waiting(self, read: Read, why: str) -> None:
        """Store a report as waiting: the offsets can pass it.

        Raises
        ------
        OperationalError
            The inbox row of a discarded event, or the waiting place itself, is locked: the batch is delivered again.
        """
        record, event = read
        with self._open_unit() as uow:
            if isinstance(event, DiscardedEvent):
                self._service.skip_discarded(uow, [event.event_id])
            else:
                WaitingFillRepository(uow.connection).add([recorded(record, event)], why)
            uow.commit()

    def retry(self, trade_id: UUID) -> bool:
        """Apply the first waiting report of a trade; return False without one, or if it must wait longer.

        Raises
        ------
        SQLAlchemyError, ExitflowError, KafkaException
            Nothing was committed; the report still waits.
        """
        try:
            return self._retry(trade_id, refused=None)
        except Exception as error:
            why = _why_wait(error)
            if why is None and fault_of(error) is None:
                raise
            return self._retry(trade_id, refused=error) if why is None else self._postpone(trade_id, why)

    def _retry(self, trade_id: UUID, refused: Exception | None) -> bool:
        with self._open_unit() as uow:
            place = WaitingFillRepository(uow.connection)
            waiting = place.lock_first(trade_id)
            if waiting is None:
                return False
            record = message_of(waiting.record)
            readable = [] if refused else self._readable([record])
            reports = [(record, event) for record, event in readable if isinstance(event, FillReport)]
            applied = self._service.apply_fills(uow, [report for _, report in reports], queued=True)
            if applied.waiting:
                place.postpone(trade_id, LOCKED)
                uow.commit()
                return False
            if refused is not None:
                self._set_aside([_letter(record, refused)])
            place.remove(waiting)
            self._end(uow, reports, applied)
            return True

    def _postpone(self, trade_id: UUID, why: str) -> bool:
        with self._open_unit() as uow:
            WaitingFillRepository(uow.connection).postpone(trade_id, why)
            uow.commit()
        return False

    def _open_unit(self) -> UnitOfWork:
        return UnitOfWork(self._engine, self._outbox)

    def _set_aside(self, letters: Sequence[Letter]) -> None:
        """Return once Kafka has the dead letters; each thread learns the fate of those it hands over.

        Raises
        ------
        Unavailable
            It has not, or it refused some.
        """
        if not letters:
            return
        with self._setting_aside:
            for record, code, reason in letters:
                DEAD_LETTERS.labels(code).inc()
                self._dead_letters.put(record, code, reason)
            self._dead_letters.flush()


def _letter(record: Message, error: Exception) -> Letter:
    fault = fault_of(error)
    assert fault is not None, "only faulty records are refused, not failures of dependencies"
    log.error("record refused: %s", type(error).__name__)
    return record, fault.code, fault.reason


def _symbol(read: Read) -> str:
    event = read[1]
    return event.symbol if isinstance(event, FillReport) else ""


def _why_wait(error: Exception) -> str | None:
    """Return why a record must wait; None if it is refused."""
    return LOCKED if is_lock_timeout(error) else None
