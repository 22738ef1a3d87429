"""One batch of records in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from confluent_kafka import Message
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError

from services.trade_management.domain.closure import Booking
from services.trade_management.domain.fill_report import FillReport
from services.trade_management.fills.reading import Forgone, Irrelevant, read
from services.trade_management.telemetry import (
    DEAD_LETTERS,
    EXCESS_SHARES,
    FILL_TO_CLOSE_SECONDS,
    IGNORED,
    LATE_FILLS,
    TRADES_CLOSED,
    TRADES_PARTIALLY_CLOSED,
)
from services.trade_management.trade_management_service import TradeManagementService
from shared.clock import Clock
from shared.dead_letters import DeadLetters
from shared.errors import Conflict, MalformedMessage
from shared.failpoints import Failpoint, failpoint
from shared.outbox import Outbox
from shared.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

Read = tuple[Message, FillReport | Forgone]


class FillBatches:
    """Applies batches of records. What it cannot act upon goes to the dead letters, never its neighbours."""

    def __init__(
        self,
        engine: Engine,
        outbox: Outbox,
        clock: Clock,
        service: TradeManagementService,
        dead_letters: DeadLetters,
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._clock = clock
        self._service = service
        self._dead_letters = dead_letters

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
            said = read(record)
        except MalformedMessage as error:
            self._refuse(record, error.code, str(error))
            return None
        if isinstance(said, Irrelevant):
            IGNORED.labels(said.value).inc()
            return None
        return record, said

    def _commit(self, batch: Sequence[Read]) -> None:
        try:
            self._transaction(batch)
        except (DataError, IntegrityError, Conflict) as error:
            self._one_by_one(batch, error)

    def _one_by_one(self, batch: Sequence[Read], error: DataError | IntegrityError | Conflict) -> None:
        """A record that the database refuses must not take its neighbours along."""
        if len(batch) > 1:
            for each in batch:
                self._commit([each])
            return
        ((record, _),) = batch
        log.error("a record is refused by the database: %s", type(error).__name__)
        self._refuse(record, "refused_by_database", _what(error))
        self._dead_letters.flush()

    def _transaction(self, batch: Sequence[Read]) -> None:
        with UnitOfWork(self._engine, self._outbox) as uow:
            self._service.forgo(uow, [said.event_id for _, said in batch if isinstance(said, Forgone)])
            told = [(record, said) for record, said in batch if isinstance(said, FillReport)]
            applied = self._service.apply_fills(uow, [report for _, report in told])
            for refusal in applied.refusals:
                self._refuse(told[refusal.nth][0], refusal.code, refusal.reason)
            # Before the commit: once the inbox knows an event, no second delivery would send its dead letter.
            self._dead_letters.flush()
            uow.commit()
        failpoint(Failpoint.TRADES_AFTER_COMMIT)
        for booking in applied.bookings:
            self._count(booking)

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


def _what(error: DataError | IntegrityError | Conflict) -> str:
    """The server's own words, without the statement and its parameters."""
    return str(error) if isinstance(error, Conflict) else str(error.orig)
