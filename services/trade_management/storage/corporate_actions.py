"""Repository of corporate actions and of their changes of trades."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, text, update

from services.trade_management.domain.adjustment import TradeTerms
from services.trade_management.models import CorporateActionRow, TradeAdjustmentRow
from shared.contracts.vocabulary import CorporateActionKind
from shared.errors import NotFound
from shared.postgres.hot_path import fetch

SYMBOLS_OF = text("""
-- trade_adjustments.symbols_of
SELECT trade_id, before ->> 'symbol', after ->> 'symbol' FROM trade_adjustments
 WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
""")


@dataclass(frozen=True, slots=True)
class StoredAction:
    """An applied corporate action; `reversed_at` is None while it counts."""

    action_id: UUID
    kind: CorporateActionKind
    symbol: str
    new_symbol: str
    shares_before: int
    shares_after: int
    effective_at: datetime
    effective_on: date
    applied_at: datetime
    reversed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TradeAdjustment:
    """Terms of a trade before and after an action."""

    trade_id: UUID
    before: TradeTerms
    after: TradeTerms


_COLUMNS = tuple(CorporateActionRow.__table__.columns)


class CorporateActionRepository:
    """Corporate actions of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def in_force(self, symbol: str, kind: CorporateActionKind, day: date) -> StoredAction | None:
        """Return the action of a symbol and a kind on a trading day; None if there is none or it was reversed."""
        found = self._find(
            CorporateActionRow.symbol == symbol,
            CorporateActionRow.kind == kind,
            CorporateActionRow.effective_on == day,
            CorporateActionRow.reversed_at.is_(None),
        )
        return found[0] if found else None

    def in_force_on(self, symbols: Collection[str]) -> list[StoredAction]:
        """Return the actions of these symbols that were not reversed."""
        return self._find(CorporateActionRow.symbol.in_(symbols), CorporateActionRow.reversed_at.is_(None))

    def newest(self, limit: int) -> list[StoredAction]:
        """Return the last actions, newest first, reversed ones too."""
        return self._find(limit=limit)

    def lock(self, action_id: UUID) -> StoredAction:
        """Return an action and lock its row until the transaction ends.

        Raises
        ------
        NotFound
            The action does not exist.
        """
        query = select(*_COLUMNS).where(CorporateActionRow.action_id == action_id).with_for_update()
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"corporate action {action_id} not found")
        return _action(row._mapping)

    def add(self, action: StoredAction, adjustments: Sequence[TradeAdjustment]) -> None:
        """Store an action with its changes."""
        self._connection.execute(insert(CorporateActionRow).values(**asdict(action)))
        rows = [
            {
                "action_id": action.action_id,
                "trade_id": each.trade_id,
                "before": each.before.json(),
                "after": each.after.json(),
            }
            for each in adjustments
        ]
        if rows:
            self._connection.execute(insert(TradeAdjustmentRow), rows)

    def adjustments(self, action_id: UUID) -> list[TradeAdjustment]:
        """Return the changes of an action, by trade."""
        query = select(TradeAdjustmentRow.trade_id, TradeAdjustmentRow.before, TradeAdjustmentRow.after)
        rows = self._connection.execute(
            query.where(TradeAdjustmentRow.action_id == action_id).order_by(TradeAdjustmentRow.trade_id)
        )
        return [
            TradeAdjustment(it.trade_id, TradeTerms.of_json(it.before), TradeTerms.of_json(it.after)) for it in rows
        ]

    def of_trade(self, trade_id: UUID) -> list[tuple[StoredAction, TradeAdjustment]]:
        """Return the actions on a trade with the change by each, in the order of application."""
        query = (
            select(*_COLUMNS, TradeAdjustmentRow.before, TradeAdjustmentRow.after)
            .join(TradeAdjustmentRow, TradeAdjustmentRow.action_id == CorporateActionRow.action_id)
            .where(TradeAdjustmentRow.trade_id == trade_id)
            .order_by(CorporateActionRow.applied_at)
        )
        found = []
        for row in self._connection.execute(query):
            values = dict(row._mapping)
            before, after = (TradeTerms.of_json(values.pop(name)) for name in ("before", "after"))
            found.append((_action(values), TradeAdjustment(trade_id, before, after)))
        return found

    def symbols_of(self, trade_ids: Collection[UUID]) -> dict[UUID, set[str]]:
        """Return every symbol given to or taken from these trades by actions or their reversals."""
        if not trade_ids:
            return {}
        found: dict[UUID, set[str]] = {}
        for trade_id, *symbols in fetch(self._connection, SYMBOLS_OF, {"trade_ids": sorted(trade_ids)}):
            found.setdefault(trade_id, set()).update(symbols)
        return found

    def mark_reversed(self, action_id: UUID, at: datetime) -> None:
        """Record an action as no longer counting."""
        self._connection.execute(
            update(CorporateActionRow).where(CorporateActionRow.action_id == action_id).values(reversed_at=at)
        )

    def _find(self, *conditions: Any, limit: int | None = None) -> list[StoredAction]:
        query = select(*_COLUMNS).where(*conditions).order_by(CorporateActionRow.applied_at.desc()).limit(limit)
        return [_action(row._mapping) for row in self._connection.execute(query)]


def _action(row: Mapping[Any, Any]) -> StoredAction:
    return StoredAction(**{**row, "kind": CorporateActionKind(row["kind"])})
