"""One batch of records in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from confluent_kafka import Message
from sqlalchemy import Engine

from services.trade_management.domain.closure import Booking
from services.trade_management.domain.fill_report import FillReport
from services.trade_management.fills.reading import DiscardedEvent, Irrelevant, read
from services.trade_management.fills.waiting_records import message_of, recorded
from services.trade_management.metrics import (
    DEAD_LETTERS,
    EXCESS_SHARES,
    FILL_TO_CLOSE_SECONDS,
    IGNORED,
    LATE_FILLS,
    TRADES_CLOSED,
    TRADES_PARTIALLY_CLOSED,
)
from services.trade_management.storage.waiting_fills import WaitingFillRepository
from services.trade_management.trade_management_service import Applied, TradeManagementService
from shared.clock import Clock
from shared.errors import ConfigurationError, MalformedMessage
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.record_faults import fault_of, read_record
from shared.outbox.signatures import TrustedKeys
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.row_locks import ROW_LOCK_TIMEOUT_MS, is_lock_timeout
from shared.runtime.failpoints import Failpoint, failpoint

log = logging.getLogger(__name__)

Read = tuple[Message, FillReport | DiscardedEvent]

LOCKED = "another transaction holds a row that its closure needs"


class FillBatches:
    """Applies batches of records. What it cannot act upon goes to the dead letters, never its neighbours."""

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

    def apply(self, records: Sequence[Message]) -> None:
        """Commit what the records say, once; afterwards their offsets may be committed.

        Raises
        ------
        SQLAlchemyError, ExitflowError, KafkaException
            Nothing was committed, or only the first of the records were; all can be applied again.
        """
        readable = [read for record in records if (read := self._read(record)) is not None]
        if readable:
            self._commit(readable)
        else:
            self._dead_letters.flush()

    def _read(self, record: Message) -> Read | None:
        try:
            said = read_record(read, record, self._trusted)
        except MalformedMessage as error:
            self._refuse(record, error.code, str(error))
            return None
        if isinstance(said, Irrelevant):
            IGNORED.labels(said.value).inc()
            return None
        return record, said

    def _commit(self, batch: Sequence[Read]) -> None:
        """Commit a batch in one transaction, or record by record where one cannot be taken with its neighbours."""
        error = self._impediment(batch)
        if error is None:
            return
        busy: set[str] = set()  # symbols for whose rows one of the batch has waited already
        for each in batch:
            if _symbol(each) in busy:
                self._set_aside(each, LOCKED)
                continue
            alone = self._impediment([each]) if len(batch) > 1 else error
            if is_lock_timeout(alone):
                busy.add(_symbol(each))
            if alone is not None:
                self._leave_out(each, alone)

    def _impediment(self, batch: Sequence[Read]) -> Exception | None:
        """Commit a batch; return the error if one record of it must be refused, or must wait."""
        try:
            self._transaction(batch)
        except Exception as error:
            if _why_wait(error) is None and fault_of(error) is None:
                raise
            return error
        return None

    def _leave_out(self, read: Read, error: Exception) -> None:
        why = _why_wait(error)
        if why is not None:
            self._set_aside(read, why)
            return
        self._refuse_for(read[0], error)
        self._dead_letters.flush()

    def _transaction(self, batch: Sequence[Read]) -> None:
        with self._open_unit() as uow:
            self._service.skip_discarded(uow, [said.event_id for _, said in batch if isinstance(said, DiscardedEvent)])
            told = [(record, said) for record, said in batch if isinstance(said, FillReport)]
            applied = self._service.apply_fills(uow, [report for _, report in told])
            WaitingFillRepository(uow.connection).add([recorded(*told[nth]) for nth in applied.waiting], LOCKED)
            self._end(uow, told, applied)

    def _end(self, uow: UnitOfWork, told: Sequence[tuple[Message, FillReport]], applied: Applied) -> None:
        for refusal in applied.refusals:
            self._refuse(told[refusal.nth][0], refusal.code, refusal.reason)
        # Before the commit: once the inbox knows an event, no second delivery would send its dead letter.
        self._dead_letters.flush()
        uow.commit()
        failpoint(Failpoint.TRADES_AFTER_COMMIT)
        for booking in applied.bookings:
            self._count(booking)

    def _set_aside(self, read: Read, why: str) -> None:
        """Let a report wait, so that the offsets may pass it.

        Raises
        ------
        OperationalError
            The inbox row of a discarded event, or the waiting place itself, is locked: the batch is delivered again.
        """
        record, told = read
        with self._open_unit() as uow:
            if isinstance(told, DiscardedEvent):
                self._service.skip_discarded(uow, [told.event_id])
            else:
                WaitingFillRepository(uow.connection).add([recorded(record, told)], why)
            uow.commit()

    def retry(self, trade_id: UUID) -> bool:
        """Apply the first waiting report of a trade; False if there is none, or if it has to wait longer.

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
            read_again = None if refused else self._read(record)
            told = [(record, read_again[1])] if read_again and isinstance(read_again[1], FillReport) else []
            applied = self._service.apply_fills(uow, [report for _, report in told], queued=True)
            if applied.waiting:
                place.postpone(trade_id, LOCKED)
                uow.commit()
                return False
            if refused is not None:
                self._refuse_for(record, refused)
            place.remove(waiting)
            self._end(uow, told, applied)
            return True

    def _postpone(self, trade_id: UUID, why: str) -> bool:
        with self._open_unit() as uow:
            WaitingFillRepository(uow.connection).postpone(trade_id, why)
            uow.commit()
        return False

    def _open_unit(self) -> UnitOfWork:
        return UnitOfWork(self._engine, self._outbox, lock_timeout_ms=ROW_LOCK_TIMEOUT_MS)

    def _refuse_for(self, record: Message, error: Exception) -> None:
        fault = fault_of(error)
        assert fault is not None, "a dependency's failure is no reason to refuse a record"
        log.error("a record cannot be applied: %s", type(error).__name__)
        self._refuse(record, fault.code, fault.reason)

    def _refuse(self, record: Message, code: str, reason: str) -> None:
        DEAD_LETTERS.labels(code).inc()
        self._dead_letters.put(record, code, reason)

    def _count(self, booking: Booking) -> None:
        late, closure, trade = sum(fill.late for fill in booking.recorded), booking.closure, booking.after.trade
        if booking.excess:
            EXCESS_SHARES.inc(booking.excess)
            LATE_FILLS.inc(late)
            log.error(
                "trade %s: %d shares filled beyond its quantity, the position is not flat",
                trade.trade_id,
                booking.excess,
            )
        if closure is None:
            return
        counter = TRADES_CLOSED if closure.final else TRADES_PARTIALLY_CLOSED
        counter.labels(closure.exit_reason.value).inc()
        if closure.final:
            FILL_TO_CLOSE_SECONDS.observe(max(0.0, (self._clock.now() - closure.closed_at).total_seconds()))
            log.info("trade %s closed, net %s", trade.trade_id, booking.after.net_pnl())


def _symbol(read: Read) -> str:
    said = read[1]
    return said.symbol if isinstance(said, FillReport) else ""


def _why_wait(error: Exception) -> str | None:
    """Return why a record has to wait; None if it is refused."""
    if is_lock_timeout(error):
        return LOCKED
    return str(error) if isinstance(error, ConfigurationError) else None
