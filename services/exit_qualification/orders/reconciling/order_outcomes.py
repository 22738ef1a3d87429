"""Outcomes of orders in the usual case, accepted and filled: recorded together, whichever accounts they are of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import msgspec

from services.exit_qualification import intent_events
from services.exit_qualification.domain.exit_fill import ExitFill
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.port import BrokerFill
from services.exit_qualification.orders.reconciling.broker_books import Sighting
from services.exit_qualification.orders.reconciling.outcome_writer import average_price, exit_fill
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.intent_batches import AcceptedIntent, FilledIntent, IntentBatches
from shared.contracts.exits import ExitIntentPlaced, Fill
from shared.contracts.topics import EXIT_INTENTS
from shared.contracts.vocabulary import IntentStatus
from shared.errors import StaleVersion
from shared.outbox.numbers import Order
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.group_commit import ThreadGroups
from shared.postgres.hot_path import Answer, pipelined
from shared.postgres.row_locks import RowHeld, own_row_only

AT_WORK = frozenset({IntentStatus.PLACED, IntentStatus.PARTIALLY_FILLED})


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """Order of an intent, accepted by its broker.

    Attributes
    ----------
    fills:
        All its fills if they fill it completely, else none.
    accepted_ago_s:
        Age of the acceptance, unless it is recorded already.
    """

    account: UserBroker
    intent: ExitIntent
    order_id: str
    fills: tuple[BrokerFill, ...] = ()
    accepted_ago_s: float = 0.0

    @property
    def intent_id(self) -> UUID:
        """Return the intent's id."""
        return self.intent.intent_id

    @property
    def version(self) -> int:
        """Return the version of the intent as it was read."""
        return self.intent.version

    @property
    def price(self) -> Decimal:
        """Return the volume-weighted price of the fills."""
        return average_price(self.fills)

    @property
    def rows(self) -> list[ExitFill]:
        """Return the fills as they are stored."""
        return [exit_fill(self.intent, self.account, fill) for fill in self.fills]


def is_filled(intent: ExitIntent, sighting: Sighting) -> bool:
    """Return whether an intent at work is filled, and nothing about it is out of the ordinary."""
    is_complete = sighting.state is OrderState.COMPLETE and sighting.filled_quantity == intent.quantity
    return is_complete and intent.status in AT_WORK and intent.placed_at is not None


def filled_among(account: UserBroker, seen: Iterable[tuple[ExitIntent, Sighting | None]]) -> list[OrderOutcome]:
    """Return the outcomes of the working intents with an ordinary complete fill."""
    return [
        OrderOutcome(account, intent, found.order_id, found.fills)
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
        except (RowHeld, StaleVersion, _Changed):
            return []

    def _write(self, outcomes: Sequence[OrderOutcome]) -> list[ExitIntent | None]:
        """Record the outcomes together; if intents have changed, record the others without them."""
        try:
            recorded = self._commit(outcomes)
        except _Changed as error:
            unchanged = [each for each in outcomes if error.versions.get(each.intent_id) == each.version]
            recorded = self._commit(unchanged) if unchanged else {}
        return [recorded.get(each.intent_id) for each in outcomes]

    def _commit(self, outcomes: Sequence[OrderOutcome]) -> dict[UUID, ExitIntent]:
        """Record the outcomes in one transaction; return the intents.

        All changes are sent before the answer to the first is known: the server is waited for once, not for each.

        Raises
        ------
        _Changed
            Nothing was recorded, because an intent has changed.
        StaleVersion
            Nothing was recorded, because the stored fills of an order differ from the books.
        """
        of_intent = {each.intent_id: each for each in outcomes}
        with self._open_unit() as uow, pipelined(uow.connection):
            locking = IntentBatches(uow.connection).ask_lock_now([each.intent for each in of_intent.values()])
            placing = _ask_place(uow, [each for each in of_intent.values() if not each.fills])
            filling = _ask_fill(uow, [each for each in of_intent.values() if each.fills])
            uow.foresee([order for each in of_intent.values() for order in _orders_of_events(each)])
            versions = locking.get()
            if any(versions.get(each.intent_id) != each.version for each in of_intent.values()):
                raise _Changed(versions)
            placed, filled = placing.get() if placing else [], filling.get() if filling else []
            uow.emit(*(intent_events.placed(intent, intent.placed_at or intent.updated_at) for intent in placed))
            for intent, fills in filled:
                _emit_filled(uow, of_intent[intent.intent_id].intent, intent, fills)
            uow.commit()
        return {intent.intent_id: intent for intent in [*placed, *(intent for intent, _ in filled)]}


class _Changed(Exception):
    """Intents have changed since they were read; `versions` are the present ones."""

    def __init__(self, versions: Mapping[UUID, int]) -> None:
        super().__init__("an intent has changed since it was read")
        self.versions = versions


@dataclass(frozen=True, slots=True)
class _Filling:
    """Fills sent to the server, and its answers."""

    complete: Sequence[OrderOutcome]
    stored: Answer[dict[UUID, list[Fill]]]
    filled: Answer[list[ExitIntent]]

    def get(self) -> list[tuple[ExitIntent, list[Fill]]]:
        """Return the filled intents with all their fills.

        Raises
        ------
        StaleVersion
            The stored fills of an order differ from the books.
        """
        stored = self.stored.get()
        for each in self.complete:
            fills = stored.get(each.intent_id, [])
            if sum(fill.quantity for fill in fills) != each.intent.quantity or average_price(fills) != each.price:
                raise StaleVersion("the stored fills of an order differ from the books")
        return [(intent, stored[intent.intent_id]) for intent in self.filled.get()]


def _ask_place(uow: UnitOfWork, accepted: Sequence[OrderOutcome]) -> Answer[list[ExitIntent]] | None:
    if not accepted:
        return None
    return IntentBatches(uow.connection).ask_place(
        [AcceptedIntent(each.intent, each.order_id, each.accepted_ago_s) for each in accepted]
    )


def _ask_fill(uow: UnitOfWork, complete: Sequence[OrderOutcome]) -> _Filling | None:
    """Record fills, and the placing of the order if it was not recorded."""
    if not complete:
        return None
    fills = ExitFillRepository(uow.connection)
    fills.ask_record([row for each in complete for row in each.rows])
    stored = fills.ask_of_intents([each.intent_id for each in complete])
    filled = IntentBatches(uow.connection).ask_fill(
        [FilledIntent(it.intent, it.order_id, it.accepted_ago_s, average_price=it.price) for it in complete]
    )
    return _Filling(complete, stored, filled)


def _orders_of_events(outcome: OrderOutcome) -> list[Order]:
    """Return topic and key of each event of an outcome, see `_emit_filled`."""
    events = 2 if outcome.fills and outcome.intent.placed_at is None else 1
    return [(EXIT_INTENTS, str(outcome.intent.trade_id))] * events


def _emit_filled(uow: UnitOfWork, before: ExitIntent, filled: ExitIntent, fills: list[Fill]) -> None:
    if before.placed_at is None:
        uow.emit(_placed_before(filled))
    uow.emit(intent_events.filled(filled, fills, filled.filled_at or filled.updated_at))


def _placed_before(filled: ExitIntent) -> ExitIntentPlaced:
    """Return the event of the acceptance of an order already recorded as filled."""
    placed = msgspec.structs.replace(filled, status=IntentStatus.PLACED, filled_quantity=0, average_price=None)
    return intent_events.placed(placed, filled.placed_at or filled.updated_at)
