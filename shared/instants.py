"""Instants as whole numbers since 1970: pure, for domains too; they know no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MILLISECOND = timedelta(milliseconds=1)
_MICROSECOND = timedelta(microseconds=1)


def epoch_ms(instant: datetime) -> int:
    """Convert an aware instant to whole milliseconds since 1970, rounded down."""
    return (instant - EPOCH) // _MILLISECOND


def epoch_us(instant: datetime) -> int:
    """Convert an aware instant to whole microseconds since 1970."""
    return (instant - EPOCH) // _MICROSECOND
