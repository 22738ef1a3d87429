"""Typed mappings of the tables of schema trade_management; a test compares them with the migrations."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Numeric, SmallInteger, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import FetchedValue

from services.trade_management.domain.charges import Rounding, Segment, Side
from shared.contracts.vocabulary import (
    Charge,
    CorporateActionKind,
    Direction,
    ExitReason,
    Leg,
    ProductType,
    TradeStatus,
)

Rate = Numeric(18, 10)


class Base(DeclarativeBase):
    """Base of the mappings."""

    # Enumerations are stored as text with CHECK constraints; the annotations list the values.
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        UUID: Uuid,
        Decimal: Numeric(18, 4),
        datetime: DateTime(timezone=True),
        Direction: Text,
        ProductType: Text,
        ExitReason: Text,
        TradeStatus: Text,
        Charge: Text,
        Leg: Text,
        Side: Text,
        Rounding: Text,
        Segment: Text,
        CorporateActionKind: Text,
    }


class TradeRow(Base):
    """Open or closed trade."""

    __tablename__ = "trades"

    trade_id: Mapped[UUID] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    direction: Mapped[Direction]
    product_type: Mapped[ProductType]
    user_broker_id: Mapped[str]
    quantity: Mapped[int] = mapped_column(BigInteger)
    open_quantity: Mapped[int] = mapped_column(BigInteger)
    entry_price: Mapped[Decimal]
    exit_plan: Mapped[dict[str, Any]] = mapped_column(JSONB)
    entered_at: Mapped[datetime]
    status: Mapped[TradeStatus] = mapped_column(server_default=FetchedValue())
    exit_price: Mapped[Decimal | None]
    exit_reason: Mapped[ExitReason | None]
    gross_pnl: Mapped[Decimal | None]
    charges: Mapped[Decimal | None]
    net_pnl: Mapped[Decimal | None]
    closed_at: Mapped[datetime | None]
    exit_intent_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    updated_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    version: Mapped[int] = mapped_column(server_default=FetchedValue())
    plan_version: Mapped[int] = mapped_column(server_default=FetchedValue())
    charges_final: Mapped[bool] = mapped_column(server_default=FetchedValue())


class TradeClosureRow(Base):
    """Closed part of a trade."""

    __tablename__ = "trade_closures"

    closure_id: Mapped[UUID] = mapped_column(primary_key=True)
    trade_id: Mapped[UUID] = mapped_column(ForeignKey("trades.trade_id"))
    nth: Mapped[int] = mapped_column(SmallInteger)
    exit_intent_id: Mapped[UUID]
    exit_reason: Mapped[ExitReason]
    quantity: Mapped[int] = mapped_column(BigInteger)
    exit_price: Mapped[Decimal]
    gross_pnl: Mapped[Decimal]
    charges: Mapped[Decimal | None]
    net_pnl: Mapped[Decimal | None]
    final: Mapped[bool]
    closed_at: Mapped[datetime]
    target_leg: Mapped[int | None] = mapped_column(SmallInteger)
    lines: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=FetchedValue())


class FinalChargesRow(Base):
    """Charges of a trade's leg from a contract note; the last row of a leg counts."""

    __tablename__ = "final_charges"

    trade_id: Mapped[UUID] = mapped_column(ForeignKey("trades.trade_id"), primary_key=True)
    leg: Mapped[Leg] = mapped_column(primary_key=True)
    nth: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    lines: Mapped[dict[str, Any]] = mapped_column(JSONB)
    recorded_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class CorporateActionRow(Base):
    """Corporate action applied to open trades."""

    __tablename__ = "corporate_actions"

    action_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[CorporateActionKind]
    symbol: Mapped[str]
    new_symbol: Mapped[str]
    shares_before: Mapped[int]
    shares_after: Mapped[int]
    effective_at: Mapped[datetime]
    effective_on: Mapped[date]
    applied_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    reversed_at: Mapped[datetime | None]


class TradeAdjustmentRow(Base):
    """The changes of a trade by an action."""

    __tablename__ = "trade_adjustments"

    action_id: Mapped[UUID] = mapped_column(ForeignKey("corporate_actions.action_id"), primary_key=True)
    trade_id: Mapped[UUID] = mapped_column(ForeignKey("trades.trade_id"), primary_key=True)
    before: Mapped[dict[str, Any]] = mapped_column(JSONB)
    after: Mapped[dict[str, Any]] = mapped_column(JSONB)


class ChargeScheduleRow(Base):
    """Effective-dated rate of a charge."""

    __tablename__ = "charge_schedules"

    exchange: Mapped[str] = mapped_column(primary_key=True, server_default=FetchedValue())
    segment: Mapped[Segment] = mapped_column(primary_key=True, server_default=FetchedValue())
    product_type: Mapped[ProductType] = mapped_column(primary_key=True)
    charge: Mapped[Charge] = mapped_column(primary_key=True)
    side: Mapped[Side] = mapped_column(primary_key=True)
    rate: Mapped[Decimal] = mapped_column(Rate)
    flat: Mapped[Decimal] = mapped_column(server_default=FetchedValue())
    maximum: Mapped[Decimal | None]
    rounding: Mapped[Rounding]
    enabled: Mapped[bool] = mapped_column(server_default=FetchedValue())
    effective_from: Mapped[date] = mapped_column(primary_key=True)
    effective_to: Mapped[date | None]
    source: Mapped[str] = mapped_column(server_default=FetchedValue())
