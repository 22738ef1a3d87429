"""Repository of exit intents; every change names the version it read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Select,
    Uuid,
    and_,
    bindparam,
    func,
    not_,
    or_,
    select,
    update,
)

from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import LIVE, check_transition
from services.exit_qualification.models import ExitIntentRow, OpenTradeRow
from services.exit_qualification.storage.intent_rows import PRESENT, intent_columns, to_intent, to_intents
from services.exit_qualification.storage.new_exits import insert_exits
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.errors import NotFound, StaleVersion
from shared.postgres.hot_path import Answer, ask, fetch

_ANSWERED: Mapping[str, None] = dict.fromkeys(("absent_since", "error_code", "error_message"))
"""Changes for an order found in the broker's books: clears the state of an unclear sending."""


class ExitIntentRepository:
    """Intents of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # reading

    def get(self, intent_id: UUID) -> ExitIntent:
        """Return one intent.

        Raises
        ------
        NotFound
            The intent does not exist.
        """
        return self._one(select(*intent_columns).where(ExitIntentRow.intent_id == intent_id, PRESENT), intent_id)

    def lock(self, intent_id: UUID) -> ExitIntent:
        """Return one intent and lock its row until the transaction ends; lock its trade's row before.

        Raises
        ------
        NotFound
            The intent does not exist.
        """
        wanted = select(*intent_columns).where(ExitIntentRow.intent_id == intent_id, PRESENT)
        return self._one(wanted.with_for_update(), intent_id)

    def find_by_unique_key(
        self, trade_id: UUID, user_broker_id: str, exit_reason: ExitReason, episode_id: int
    ) -> ExitIntent | None:
        """Return the intent of an episode, or None."""
        row = self._connection.execute(
            select(*intent_columns).where(
                ExitIntentRow.trade_id == trade_id,
                ExitIntentRow.user_broker_id == user_broker_id,
                ExitIntentRow.exit_reason == exit_reason,
                ExitIntentRow.episode_id == episode_id,
                PRESENT,
            )
        ).one_or_none()
        return None if row is None else to_intent(row)

    def find_slot_holders(self, trade_ids: Sequence[UUID]) -> list[ExitIntent]:
        """Lock and return the trades' executable intents that hold a slot; lock the trades' rows before.

        Trades held by another transaction are passed over.
        """
        return self.ask_slot_holders(trade_ids).get()

    def ask_slot_holders(self, trade_ids: Collection[UUID]) -> Answer[list[ExitIntent]]:
        """Ask for the result of `find_slot_holders`; the locks may be in the same pipeline."""
        return ask(self._connection, _SLOT_HOLDERS, {"trade_ids": list(trade_ids)}, to_intents)

    def read_slot_holders(self, trade_ids: Sequence[UUID]) -> list[ExitIntent]:
        """Return what `find_slot_holders` does, without a lock."""
        return to_intents(fetch(self._connection, _HOLDERS, {"trade_ids": list(trade_ids)}))

    def count_sent(self, intent: ExitIntent, since: datetime) -> int:
        """Return the number of orders sent for the intent's trade and rule since then, including this intent."""
        wanted = select(func.count()).where(
            ExitIntentRow.trade_id == intent.trade_id,
            ExitIntentRow.exit_reason == intent.exit_reason,
            ExitIntentRow.leg.is_not_distinct_from(intent.leg),
            ExitIntentRow.submitted_at >= since,
            PRESENT,
        )
        return int(self._connection.execute(wanted).scalar_one())

    # writing

    def insert(self, intents: Sequence[ExitIntent], signals: Sequence[ExitSignal] = ()) -> None:
        """Write new intents with their signals, if these are new; errors as of `insert_exits`."""
        insert_exits(self._connection, signals, intents)

    def update_status(self, intent: ExitIntent, status: IntentStatus, **changes: Any) -> ExitIntent:
        """Apply a transition with other changes of the row; return the updated intent.

        Raises
        ------
        IllegalTransition
            The state machine does not allow this step.
        StaleVersion
            The row has changed since it was read.
        """
        if status != intent.status or status is IntentStatus.PARTIALLY_FILLED:
            check_transition(intent.status, status, was_sent=intent.was_sent)
        return self.update(intent, status=status, **changes)

    def update_broker_order_id(self, intent: ExitIntent, broker_order_id: str) -> ExitIntent:
        """Store the broker's id of the order.

        Raises
        ------
        StaleVersion
            The row has changed since it was read.
        """
        return self.update(intent, broker_order_id=broker_order_id)

    def mark_submitting(
        self, intent: ExitIntent, *, at: datetime, claimed_until: datetime, **changes: Any
    ) -> ExitIntent:
        """Change APPROVED → SUBMITTING, to be committed before the broker is called; clear an earlier error."""
        return self.update_status(
            intent,
            IntentStatus.SUBMITTING,
            submitted_at=at,
            claimed_until=claimed_until,
            attempts=intent.attempts + 1,
            error_code=None,
            error_message=None,
            **changes,
        )

    def mark_unknown(self, intent: ExitIntent, **changes: Any) -> ExitIntent:
        """Change SUBMITTING → UNKNOWN: the broker may or may not have the order."""
        return self.update_status(intent, IntentStatus.UNKNOWN, absent_since=None, **changes)

    def mark_placed(self, intent: ExitIntent, *, broker_order_id: str, at: datetime) -> ExitIntent:
        """Record that the broker has the order."""
        return self.update_status(
            intent,
            IntentStatus.PLACED,
            broker_order_id=broker_order_id,
            placed_at=at,
            **_ANSWERED,
        )

    def mark_partially_filled(
        self, intent: ExitIntent, *, broker_order_id: str, filled_quantity: int, average_price: Decimal, at: datetime
    ) -> ExitIntent:
        """Record a partial fill; without a placing, `at` counts as placed."""
        return self.update_status(
            intent,
            IntentStatus.PARTIALLY_FILLED,
            broker_order_id=broker_order_id,
            filled_quantity=filled_quantity,
            average_price=average_price,
            placed_at=intent.placed_at or at,
            **_ANSWERED,
        )

    def mark_filled(
        self,
        intent: ExitIntent,
        *,
        broker_order_id: str,
        filled_quantity: int,
        average_price: Decimal,
        at: datetime,
        late: bool = False,
    ) -> ExitIntent:
        """Record the complete fill, or one beyond; `late` if the intent had ended before."""
        return self.update_status(
            intent,
            IntentStatus.FILLED,
            broker_order_id=broker_order_id,
            filled_quantity=filled_quantity,
            average_price=average_price,
            placed_at=intent.placed_at or at,
            filled_at=at,
            ended_at=at,
            late_filled=intent.late_filled or late,
            **_ANSWERED,
        )

    def mark_failed(self, intent: ExitIntent, *, code: str, message: str, at: datetime, **changes: Any) -> ExitIntent:
        """Record that the order was refused, or is proven never to have been placed."""
        return self.update_status(
            intent, IntentStatus.FAILED, error_code=code, error_message=message[:2000], ended_at=at, **changes
        )

    def mark_cancelled(self, intent: ExitIntent, *, reason: str, at: datetime, **changes: Any) -> ExitIntent:
        """Record the cancellation."""
        return self.update_status(intent, IntentStatus.CANCELLED, cancel_reason=reason, ended_at=at, **changes)

    def update(self, intent: ExitIntent, **changes: Any) -> ExitIntent:
        """Change columns of the row at the version read; return the updated intent.

        Raises
        ------
        StaleVersion
            The row has changed since it was read.
        """
        row = self._connection.execute(
            update(ExitIntentRow)
            .where(ExitIntentRow.intent_id == intent.intent_id, ExitIntentRow.version == intent.version)
            .values(version=intent.version + 1, **changes)
            .returning(*intent_columns)
        ).one_or_none()
        if row is None:
            raise StaleVersion(f"intent {intent.intent_id} has changed since version {intent.version}")
        return to_intent(row)

    def _one(self, wanted: Select[Any], intent_id: UUID) -> ExitIntent:
        row = self._connection.execute(wanted).one_or_none()
        if row is None:
            raise NotFound(f"exit intent {intent_id} not found")
        return to_intent(row)


def holds_slot() -> ColumnElement[bool]:
    """Return whether an intent holds its leg's slot, or the remainder's: the condition of ``exit_intents_one_live``."""
    return and_(
        ExitIntentRow.executable,
        PRESENT,
        ExitIntentRow.exit_reason != ExitReason.EXTERNAL,
        or_(
            ExitIntentRow.status.in_(sorted(LIVE)),
            and_(ExitIntentRow.status == IntentStatus.FILLED, not_(ExitIntentRow.beside_leg)),
        ),
    )


_NAMED = func.any(bindparam("trade_ids", type_=ARRAY(Uuid), required=False))
_HELD_TRADES = (
    select(OpenTradeRow.trade_id)
    .where(OpenTradeRow.trade_id == _NAMED)
    .order_by(OpenTradeRow.trade_id)
    .with_for_update(skip_locked=True)
    .cte("held_trades")
)
_HOLDERS = (
    select(*intent_columns).where(ExitIntentRow.trade_id == _NAMED, holds_slot()).order_by(ExitIntentRow.intent_id)
)
_SLOT_HOLDERS = _HOLDERS.where(ExitIntentRow.trade_id.in_(select(_HELD_TRADES.c.trade_id))).with_for_update(
    of=ExitIntentRow
)
"""Built once: building and keying a query costs several times its execution."""
