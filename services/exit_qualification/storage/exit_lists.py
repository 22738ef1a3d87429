"""Lists of exits, as people ask for them: filtered, ordered, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, Connection, Select, bindparam, select, text, tuple_, union_all

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import PENDING_VIEW
from services.exit_qualification.models import ExitIntentRow
from services.exit_qualification.storage.conditions import Conditions
from services.exit_qualification.storage.intent_rows import COLUMNS, PRESENT, intent_columns, to_intent, to_intents
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.postgres.hot_path import Answer, ask

_EQUAL_COLUMNS: Final = ("symbol", "user_broker_id", "status", "trade_id", "exit_reason")

OF_TRADE = text(f"""
-- exit_lists.of_trade
SELECT {COLUMNS} FROM exit_intents i
 WHERE i.trade_id = :trade_id AND i.deleted_at IS NULL
 ORDER BY i.created_at, i.intent_id LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping
WAITING_ERRORS = text("""
-- exit_lists.waiting_errors
SELECT DISTINCT ON (user_broker_id) user_broker_id, error_code, error_message FROM exit_intents
 WHERE status IN ('PENDING', 'APPROVED') AND error_code IS NOT NULL AND deleted_at IS NULL
 ORDER BY user_broker_id, created_at, intent_id
""")


@dataclass(frozen=True, slots=True)
class ExitFilter(Conditions):
    """Conditions that an exit meets, all of them; None for any.

    `order_id` is the broker's id of the order, or its tag.
    """

    symbol: str | None = None
    user_broker_id: str | None = None
    status: IntentStatus | None = None
    trade_id: UUID | None = None
    exit_reason: ExitReason | None = None
    order_id: str | None = None
    created_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaitingError:
    """Error shown by an unsent exit."""

    code: str
    message: str


class ExitLists:
    """Exits read in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pending(self, wanted: ExitFilter, limit: int, after: tuple[datetime, UUID] | None = None) -> list[ExitIntent]:
        """Return exits under way, oldest first; `after` is the previous page's last key."""
        # Literals: the index of pending exits serves them.
        pending: BindParameter[list[IntentStatus]] = bindparam(
            "statuses", sorted(PENDING_VIEW), expanding=True, literal_execute=True
        )
        return self._oldest(_matching(wanted).where(ExitIntentRow.status.in_(pending)), limit, after)

    def oldest(self, wanted: ExitFilter, limit: int, after: tuple[datetime, UUID] | None = None) -> list[ExitIntent]:
        """Return exits of every status, oldest first; `after` is the previous page's last key."""
        return self._oldest(_matching(wanted), limit, after)

    def ask_of_trade(self, trade_id: UUID, limit: int) -> Answer[list[ExitIntent]]:
        """Ask for the first exits of a trade, oldest first."""
        return ask(self._connection, OF_TRADE, {"trade_id": trade_id, "limit": limit}, to_intents)

    def newest(self, wanted: ExitFilter, limit: int, before: UUID | None = None) -> list[ExitIntent]:
        """Return exits of every status by id, newest first; ids follow the time of creation."""
        found = _matching(wanted)
        if before is not None:
            found = found.where(ExitIntentRow.intent_id < before)
        return self._read(found.order_by(ExitIntentRow.intent_id.desc()).limit(limit))

    def waiting_errors(self) -> dict[str, WaitingError]:
        """Return the error of each user broker's oldest unsent exit that has one."""
        rows = self._connection.execute(WAITING_ERRORS)
        return {row.user_broker_id: WaitingError(row.error_code, row.error_message or "") for row in rows}

    def _oldest(self, found: Select[Any], limit: int, after: tuple[datetime, UUID] | None) -> list[ExitIntent]:
        if after is not None:
            found = found.where(tuple_(ExitIntentRow.created_at, ExitIntentRow.intent_id) > tuple_(*after))
        return self._read(found.order_by(ExitIntentRow.created_at, ExitIntentRow.intent_id).limit(limit))

    def _read(self, found: Select[Any]) -> list[ExitIntent]:
        return [to_intent(row) for row in self._connection.execute(found)]


def _matching(wanted: ExitFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [PRESENT]
    for name in _EQUAL_COLUMNS:
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(ExitIntentRow.__table__.c[name] == value)
    if wanted.created_until is not None:
        conditions.append(ExitIntentRow.created_at <= wanted.created_until)
    if wanted.order_id is not None:
        conditions.append(_is_order(wanted.order_id))
    return select(*intent_columns).where(*conditions)


def _is_order(order_id: str) -> ColumnElement[bool]:
    # Not OR: each branch has its own index.
    ids = (ExitIntentRow.broker_order_id, ExitIntentRow.client_order_id)
    return ExitIntentRow.intent_id.in_(
        union_all(*(select(ExitIntentRow.intent_id).where(column == order_id) for column in ids))
    )
