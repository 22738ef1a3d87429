"""Orders that the books show as filled completely: recorded together, in one transaction for an account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from services.exit_qualification import intent_events
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.broker_books import Sighting
from services.exit_qualification.orders.outcome_writer import average_price, exit_fill
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.intent_batches import Filled, IntentBatches
from shared.contracts.vocabulary import IntentStatus
from shared.errors import StaleVersion
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.row_locks import RowHeld, own_row_only

AT_WORK = frozenset({IntentStatus.PLACED, IntentStatus.PARTIALLY_FILLED})
Sighted = tuple[ExitIntent, Sighting]


def is_filled(intent: ExitIntent, sighting: Sighting) -> bool:
    """Return whether the books show all of the intent's quantity, and nothing about it is out of the ordinary."""
    return (
        intent.status in AT_WORK
        and intent.placed_at is not None
        and sighting.state is OrderState.COMPLETE
        and sighting.filled_quantity == intent.quantity
    )


class FilledOrders:
    """Records complete fills. Stateless, so many threads can share it."""

    def __init__(self, open_unit: Callable[[], UnitOfWork]) -> None:
        self._open_unit = open_unit

    def record(self, account: UserBroker, sighted: Sequence[Sighted]) -> set[UUID]:
        """Record fills and outcomes of these intents; return those recorded.

        An intent that has changed, whose rows are held, or whose stored fills say otherwise is left to be looked at
        alone.
        """
        if not sighted:
            return set()
        try:
            with own_row_only(), self._open_unit() as uow:
                filled = self._record(uow, account, sighted)
                uow.commit()
        except (RowHeld, StaleVersion):
            return set()
        return {intent.intent_id for intent in filled}

    def _record(self, uow: UnitOfWork, account: UserBroker, sighted: Sequence[Sighted]) -> list[ExitIntent]:
        batches, fills = IntentBatches(uow.connection), ExitFillRepository(uow.connection)
        free = batches.lock_free([intent for intent, _ in sighted])
        unchanged = [
            (it, seen) for it, seen in sighted if it.intent_id in free and free[it.intent_id].version == it.version
        ]
        fills.record([exit_fill(intent, account, fill) for intent, seen in unchanged for fill in seen.fills])
        stored = fills.of_intents([intent.intent_id for intent, _ in unchanged])
        if any(sum(fill.quantity for fill in stored[it.intent_id]) != it.quantity for it, _ in unchanged):
            raise StaleVersion("the stored fills of an order are not those that the books show")
        filled = batches.fill(
            [Filled(it, seen.order_id, average_price(stored[it.intent_id])) for it, seen in unchanged]
        )
        for intent in filled:
            uow.emit(intent_events.filled(intent, stored[intent.intent_id], intent.filled_at or intent.updated_at))
        return filled
