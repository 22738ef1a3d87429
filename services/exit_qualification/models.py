"""Typed mappings of the tables of schema ``exit_qualification``; the migrations create the tables."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, FetchedValue, Integer, Numeric, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of the mappings: money is NUMERIC(18,4), times are aware, strings are text."""

    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it from the class
        datetime: DateTime(timezone=True),
        Decimal: Numeric(18, 4),
        str: Text,
        int: BigInteger,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[str]: ARRAY(Text),
    }


class UserBrokerRow(Base):
    """Account for executing exits."""

    __tablename__ = "user_brokers"

    user_broker_id: Mapped[str] = mapped_column(primary_key=True)
    broker: Mapped[str]
    account: Mapped[str]
    root_url: Mapped[str]
    status: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    token_refused_at: Mapped[datetime | None]
    token_taken_at: Mapped[datetime | None]
    entries_held_since: Mapped[datetime | None]
    entries_held_reason: Mapped[str | None]


class KillSwitchRow(Base):
    """Kill switch; one row."""

    __tablename__ = "kill_switch"

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=FetchedValue())
    mode: Mapped[str]
    reason: Mapped[str]
    updated_by: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class RolloutRow(Base):
    """Rollout; one row."""

    __tablename__ = "rollout"

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=FetchedValue())
    mode: Mapped[str]
    symbols: Mapped[list[str]]
    user_broker_ids: Mapped[list[str]]
    reason: Mapped[str]
    updated_by: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class OpenTradeRow(Base):
    """Projection of a trade."""

    __tablename__ = "open_trades"

    trade_id: Mapped[UUID] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    partition: Mapped[int] = mapped_column(Integer)
    user_broker_id: Mapped[str]
    direction: Mapped[str]
    product_type: Mapped[str]
    quantity: Mapped[int]
    entry_price: Mapped[Decimal]
    exit_plan: Mapped[dict[str, Any]]
    entered_at: Mapped[datetime]
    entered_tick: Mapped[int | None]
    status: Mapped[str] = mapped_column(server_default=FetchedValue())
    updated_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class ExitPlanRow(Base):
    """Plan in force of a trade after a change of its plan."""

    __tablename__ = "exit_plans"

    trade_id: Mapped[UUID] = mapped_column(primary_key=True)
    plan_version: Mapped[int] = mapped_column(Integer)
    exit_plan: Mapped[dict[str, Any]]
    changed_tick: Mapped[int]
    changed_at: Mapped[datetime]


class ExitSignalRow(Base):
    """Detected exit of a trade."""

    __tablename__ = "exit_signals"

    signal_id: Mapped[UUID] = mapped_column(primary_key=True)
    trade_id: Mapped[UUID]
    symbol: Mapped[str]
    direction: Mapped[str]
    exit_reason: Mapped[str]
    episode_id: Mapped[int]
    detected_price: Mapped[Decimal | None]
    detected_at: Mapped[datetime]
    leg: Mapped[int | None] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class ExitIntentRow(Base):
    """Exit intent: the operational side of an exit."""

    __tablename__ = "exit_intents"

    intent_id: Mapped[UUID] = mapped_column(primary_key=True)
    signal_id: Mapped[UUID]
    trade_id: Mapped[UUID]
    user_broker_id: Mapped[str]
    symbol: Mapped[str]
    direction: Mapped[str]
    exit_reason: Mapped[str]
    episode_id: Mapped[int]
    status: Mapped[str]
    quantity: Mapped[int]
    filled_quantity: Mapped[int]
    average_price: Mapped[Decimal | None]
    order_type: Mapped[str]
    limit_price: Mapped[Decimal | None]
    product_type: Mapped[str]
    detected_price: Mapped[Decimal | None]
    exit_level: Mapped[Decimal | None]
    executable: Mapped[bool]
    gates: Mapped[list[Any]]
    errors: Mapped[list[Any]]
    client_order_id: Mapped[str]
    broker_order_id: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    cancel_reason: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(SmallInteger)
    late_filled: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    placed_at: Mapped[datetime | None]
    filled_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    absent_since: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    leg: Mapped[int | None] = mapped_column(SmallInteger)
    beside_leg: Mapped[bool]
    version: Mapped[int] = mapped_column(Integer)


class ExitFillRow(Base):
    """One execution at the broker."""

    __tablename__ = "exit_fills"

    broker: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    trading_day: Mapped[date] = mapped_column(primary_key=True)
    exchange: Mapped[str] = mapped_column(primary_key=True)
    broker_order_id: Mapped[str] = mapped_column(primary_key=True)
    broker_trade_id: Mapped[str] = mapped_column(primary_key=True)
    intent_id: Mapped[UUID]
    trade_id: Mapped[UUID]
    quantity: Mapped[int]
    price: Mapped[Decimal]
    filled_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
