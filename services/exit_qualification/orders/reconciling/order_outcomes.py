"""Outcomes of orders in the usual case, accepted and filled: recorded together, whichever accounts they are of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from services.exit_qualification import intent_events
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.reconciling.broker_books import Sighting
from services.exit_qualification.orders.reconciling.outcome_writer import average_price, exit_fill
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.intent_batches import AcceptedIntent, FilledIntent, IntentBatches
from shared.contracts.exits import ExitIntentPlaced
from shared.contracts.vocabulary import IntentStatus
from shared.errors import StaleVersion
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.group_commit import ThreadGroups
from shared.postgres.hot_path import pipelined
from shared.postgres.row_locks import RowHeld, own_row_only

AT_WORK = frozenset({IntentStatus.PLACED, IntentStatus.PARTIALLY_FILLED})


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """Order of an intent, accepted by its broker.

    Attributes
    ----------
    filled:
        The order in the books if they show it as filled completely.
    accepted_ago_s:
        Age of the acceptance, unless it is recorded already.
    """

    account: UserBroker
    intent: ExitIntent
    order_id: str
    filled: Sighting | None = None
    accepted_ago_s: float = 0.0


def shows_all(intent: ExitIntent, sighting: Sighting) -> bool:
    """Return whether the books show the order as complete, with fills of exactly the intent's quantity."""
    return sighting.state is OrderState.COMPLETE and sighting.filled_quantity == intent.quantity


def is_filled(intent: ExitIntent, sighting: Sighting) -> bool:
    """Return whether an intent at work is filled, and nothing about it is out of the ordinary."""
    return intent.status in AT_WORK and intent.placed_at is not None and shows_all(intent, sighting)


def filled_among(account: UserBroker, seen: Iterable[tuple[ExitIntent, Sighting | None]]) -> list[OrderOutcome]:
    """Return the outcomes of the working intents with an ordinary complete fill."""
    return [
        OrderOutcome(account, intent, found.order_id, found)
        for intent, found in seen
        if found is not None and is_filled(intent, found)
    ]


class OrderOutcomes:
    """Records outcomes; those of several threads at the same time share a transaction. Thread-safe."""

    def __init__(self, open_unit: Callable[[], UnitOfWork]) -> None:
        self._open_unit = open_unit
        self._groups = ThreadGroups(self._write)

    def record(self, outcomes: Sequence[OrderOutcome]) -> list[ExitIntent]:
        """Record outcomes with fills and events; return the intents recorded.

        An intent is left for a separate look if it has changed, its rows are held, or its stored fills say
        otherwise.
        """
        if not outcomes:
            return []
        try:
            with own_row_only():
                return [intent for intent in self._groups.answers(outcomes) if intent is not None]
        except (RowHeld, StaleVersion):
            return []

    def _write(self, outcomes: Sequence[OrderOutcome]) -> list[ExitIntent | None]:
        with self._open_unit() as uow, pipelined(uow.connection):
            versions = IntentBatches(uow.connection).lock_free([each.intent for each in outcomes])
            unchanged = {
                each.intent.intent_id: each
                for each in outcomes
                if versions.get(each.intent.intent_id) == each.intent.version
            }
            recorded = [
                *_place(uow, [each for each in unchanged.values() if each.filled is None]),
                *_fill(uow, [(each, each.filled) for each in unchanged.values() if each.filled is not None]),
            ]
            uow.commit()
        by_id = {intent.intent_id: intent for intent in recorded}
        return [by_id.get(each.intent.intent_id) for each in outcomes]


def _place(uow: UnitOfWork, accepted: Sequence[OrderOutcome]) -> list[ExitIntent]:
    placed = IntentBatches(uow.connection).place(
        [AcceptedIntent(each.intent, each.order_id, each.accepted_ago_s) for each in accepted]
    )
    uow.emit(*(intent_events.placed(intent, intent.placed_at or intent.updated_at) for intent in placed))
    return placed


def _fill(uow: UnitOfWork, complete: Sequence[tuple[OrderOutcome, Sighting]]) -> list[ExitIntent]:
    """Record fills, and the placing of the order if it was not recorded.

    Raises
    ------
    StaleVersion
        The stored fills of an order differ from the books.
    """
    if not complete:
        return []
    fills = ExitFillRepository(uow.connection)
    fills.ask_record([exit_fill(each.intent, each.account, fill) for each, seen in complete for fill in seen.fills])
    stored = fills.of_intents([each.intent.intent_id for each, _ in complete])
    totals = {intent_id: sum(fill.quantity for fill in found) for intent_id, found in stored.items()}
    if any(totals.get(each.intent.intent_id) != each.intent.quantity for each, _ in complete):
        raise StaleVersion("the stored fills of an order differ from the books")
    before = {each.intent.intent_id: each.intent for each, _ in complete}
    filled = IntentBatches(uow.connection).fill(
        [
            FilledIntent(
                it.intent, it.order_id, it.accepted_ago_s, average_price=average_price(stored[it.intent.intent_id])
            )
            for it, _ in complete
        ]
    )
    for intent in filled:
        if before[intent.intent_id].placed_at is None:
            uow.emit(_placed_before(intent))
        uow.emit(intent_events.filled(intent, stored[intent.intent_id], intent.filled_at or intent.updated_at))
    return filled


def _placed_before(filled: ExitIntent) -> ExitIntentPlaced:
    """Return the event of the acceptance of an order already recorded as filled."""
    placed = replace(filled, status=IntentStatus.PLACED, filled_quantity=0, average_price=None)
    return intent_events.placed(placed, filled.placed_at or filled.updated_at)
