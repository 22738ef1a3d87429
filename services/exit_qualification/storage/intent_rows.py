"""Rows of the table of exit intents, as intents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.order_terms import OrderType
from services.exit_qualification.models import ExitIntentRow
from shared.contracts.vocabulary import Direction, ExitReason, IntentStatus, ProductType

intent_columns = [column for column in ExitIntentRow.__table__.c if column.name != "deleted_at"]
"""Every column of an intent, for `to_intent`."""

COLUMNS = ", ".join(f"i.{column.name}" for column in intent_columns)
"""The same in SQL, of the table named `i`, for `to_intents`."""

PRESENT = ExitIntentRow.deleted_at.is_(None)

_COLUMN_NAMES = tuple(column.name for column in intent_columns)


def to_intent(row: Row[Any]) -> ExitIntent:
    """Return the intent in a row of all columns."""
    return _intent(dict(row._mapping))


def to_intents(rows: Iterable[tuple[Any, ...]]) -> list[ExitIntent]:
    """Return the intents in rows of `COLUMNS`."""
    return [_intent(dict(zip(_COLUMN_NAMES, row, strict=True))) for row in rows]


def _intent(values: dict[str, Any]) -> ExitIntent:
    values["status"] = IntentStatus(values["status"])
    values["direction"] = Direction(values["direction"])
    values["exit_reason"] = ExitReason(values["exit_reason"])
    values["product_type"] = ProductType(values["product_type"])
    values["order_type"] = OrderType(values["order_type"])
    values["gates"] = tuple(values["gates"])
    values["errors"] = tuple(values["errors"])
    return ExitIntent(**values)
