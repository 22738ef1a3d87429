"""The trading day of Kite's books; its access tokens end with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.exit_qualification.domain.book_day import BookDay
from shared.clock import TRADING_ZONE

KITE_DAY: Final = BookDay(begins=timedelta(hours=6), zone=TRADING_ZONE)
