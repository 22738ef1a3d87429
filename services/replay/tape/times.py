"""Times of recorded ticks: text with or without a zone, a time of day, or a number since 1970."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from services.replay.tape.format import Epoch, TapeFormat
from services.replay.tape.recorded import BadRow
from shared.instants import epoch_us

_TIME_OF_DAY: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?")
_DAY_FIRST: Final = re.compile(r"^(\d{2})[-/](\d{2})[-/](\d{4})(?!\d)")
"""A date as Indian exchanges and vendors write it."""
_NUMBER: Final = re.compile(r"\d{1,20}(\.\d{1,9})?")
_LATEST_US: Final = epoch_us(datetime(2200, 1, 1, tzinfo=UTC))
_MANY: Final = 100_000


class Times:
    """Reads times of one file. Reading the same time again costs a look-up."""

    def __init__(self, tape_format: TapeFormat) -> None:
        self._format = tape_format
        self._of_text = lru_cache(_MANY)(self._text_us)

    def us(self, name: str, value: Any) -> int:
        """Return microseconds since 1970 of the value of a field.

        Raises
        ------
        BadRow
            It is not a time, or its zone, date or unit is not known.
        """
        if isinstance(value, str):
            found = self._of_text(name, value.strip())
        elif isinstance(value, datetime):
            found = epoch_us(self._with_zone(name, value))
        elif isinstance(value, date):
            found = epoch_us(self._with_zone(name, datetime.combine(value, time())))
        elif isinstance(value, time):
            found = epoch_us(self._with_zone(name, self._on_date(name, value)))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = self._number_us(name, repr(value))
        else:
            raise BadRow(f"{name}: {value!r} is not a time")
        if not 0 < found < _LATEST_US:
            raise BadRow(f"{name}: {value!r} is not a time between 1970 and 2199")
        return found

    def day(self, ts_us: int) -> date:
        """Return the day of an instant in the file's zone, UTC without one."""
        return datetime.fromtimestamp(ts_us // 1_000_000, self._format.zone or UTC).date()

    def _text_us(self, name: str, text: str) -> int:
        if _NUMBER.fullmatch(text):
            return self._number_us(name, text)
        try:
            if _TIME_OF_DAY.fullmatch(text):
                return epoch_us(
                    self._with_zone(
                        name, self._on_date(name, time.fromisoformat(text if text[1] != ":" else f"0{text}"))
                    )
                )
            return epoch_us(self._with_zone(name, datetime.fromisoformat(_DAY_FIRST.sub(r"\3-\2-\1", text))))
        except ValueError as error:
            raise BadRow(f"{name}: {text!r} is not a time such as 2026-01-13T03:45:00.123Z") from error

    def _number_us(self, name: str, text: str) -> int:
        unit = self._format.epoch
        if unit is None:
            choices = ", ".join(Epoch)
            raise BadRow(f"{name}: {text} is a number; say its unit with --epoch ({choices})")
        try:
            return int(Decimal(text) * unit.in_us)
        except (InvalidOperation, ValueError) as error:
            raise BadRow(f"{name}: {text} is not a time") from error

    def _on_date(self, name: str, at: time) -> datetime:
        if self._format.date is None:
            raise BadRow(f"{name}: a time without a date; say it with --date YYYY-MM-DD")
        return datetime.combine(self._format.date, at)

    def _with_zone(self, name: str, instant: datetime) -> datetime:
        if instant.tzinfo is not None:
            return instant
        if self._format.zone is None:
            raise BadRow(f"{name}: a time without a zone; say it with --tz, e.g. --tz Asia/Kolkata")
        return instant.replace(tzinfo=self._format.zone)
