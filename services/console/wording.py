"""Words and numbers as the pages show them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from shared.clock import TRADING_ZONE
from shared.contracts.vocabulary import ExitReason, IntentStatus, KillSwitchMode, ProtectiveStopStatus, RolloutMode
from shared.wording import plural

STATUS_SENTENCES = {
    IntentStatus.PENDING: "Waits until every gate passes.",
    IntentStatus.APPROVED: "Every gate passed; a sender takes it next.",
    IntentStatus.REJECTED: "A gate refused it; no order was sent.",
    IntentStatus.SUBMITTING: "The order is being handed to the broker.",
    IntentStatus.UNKNOWN: "The broker did not answer; its books decide whether the order exists.",
    IntentStatus.PLACED: "The broker has the order.",
    IntentStatus.PARTIALLY_FILLED: "Part of the order is filled.",
    IntentStatus.FILLED: "The order is filled.",
    IntentStatus.CANCELLED: "It ended before its quantity was filled.",
    IntentStatus.FAILED: "The broker refused the order, or never received it.",
}
STATUS_TONES = {
    IntentStatus.PENDING: "warn",
    IntentStatus.APPROVED: "info",
    IntentStatus.REJECTED: "bad",
    IntentStatus.SUBMITTING: "info",
    IntentStatus.UNKNOWN: "bad",
    IntentStatus.PLACED: "info",
    IntentStatus.PARTIALLY_FILLED: "info",
    IntentStatus.FILLED: "good",
    IntentStatus.CANCELLED: "quiet",
    IntentStatus.FAILED: "bad",
}
STOP_SENTENCES = {
    ProtectiveStopStatus.WANTED: "It is not placed yet.",
    ProtectiveStopStatus.PLACING: "It is being placed; the broker's books do not show it yet.",
    ProtectiveStopStatus.ARMED: "The broker holds it with these terms.",
    ProtectiveStopStatus.REPLACING: "Other terms were requested; the broker's books do not show them yet.",
    ProtectiveStopStatus.CANCELLING: "Its cancellation was requested; the broker's books do not show it yet.",
    ProtectiveStopStatus.CANCELLED: "It ended without an exit.",
    ProtectiveStopStatus.TRIGGERED: "The market reached its trigger; the order is the exit.",
    ProtectiveStopStatus.FAILED: "The broker refused it, or never received it.",
}
STOP_TONES = {
    ProtectiveStopStatus.WANTED: "warn",
    ProtectiveStopStatus.PLACING: "info",
    ProtectiveStopStatus.ARMED: "good",
    ProtectiveStopStatus.REPLACING: "warn",
    ProtectiveStopStatus.CANCELLING: "info",
    ProtectiveStopStatus.CANCELLED: "quiet",
    ProtectiveStopStatus.TRIGGERED: "info",
    ProtectiveStopStatus.FAILED: "bad",
}
KILL_SWITCH_SENTENCES = {
    KillSwitchMode.OFF: "Exits run.",
    KillSwitchMode.ENTRIES_ONLY: "Exits run; systems opening trades are told to stop.",
    KillSwitchMode.ALL: "No exit is sent except manual ones.",
}
ROLLOUT_SENTENCES = {
    RolloutMode.OFF: "Nothing is detected or written.",
    RolloutMode.DARK: "Exits are written and published, never executed.",
    RolloutMode.LIMITED: "Exits of the listed symbols and accounts are executed.",
    RolloutMode.FULL: "Every exit is executed.",
}
PENDING_STATUSES = (
    IntentStatus.PENDING,
    IntentStatus.APPROVED,
    IntentStatus.SUBMITTING,
    IntentStatus.UNKNOWN,
    IntentStatus.PLACED,
    IntentStatus.PARTIALLY_FILLED,
)
DECISIONS = {
    IntentStatus.PENDING: "withdraw",
    IntentStatus.APPROVED: "withdraw",
    IntentStatus.UNKNOWN: "resolve",
    IntentStatus.PLACED: "resolve",
    IntentStatus.PARTIALLY_FILLED: "resolve",
}
"""Decision about an exit that its status allows to an operator."""
NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def instant(text: str) -> datetime:
    """Return the time in an API's answer."""
    return datetime.fromisoformat(text).astimezone(UTC)


def duration(seconds: float | None) -> str:
    """Return a duration with one unit below a minute and two above, as `840 ms`, `3.2 s`, `4 m 10 s` or `2 d 3 h`."""
    if seconds is None:
        return NONE
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} m {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} m"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def age(text: str, now: datetime) -> str:
    """Return the time since an instant in whole seconds, as a live list shows it."""
    seconds = max(0.0, (now - instant(text)).total_seconds())
    return duration(seconds if seconds >= 10 else int(seconds)) if seconds >= 1 else "0 s"


def clock_time(text: str | None) -> str:
    """Return a time of the trading day, to the millisecond, in Asia/Kolkata."""
    if text is None:
        return NONE
    return instant(text).astimezone(TRADING_ZONE).strftime("%H:%M:%S.%f")[:-3]


def second_time(text: str | None) -> str:
    """Return a time of the trading day, to the second, in Asia/Kolkata."""
    return NONE if text is None else instant(text).astimezone(TRADING_ZONE).strftime("%H:%M:%S")


def full_time(text: str | None) -> str:
    """Return date and time in Asia/Kolkata."""
    return NONE if text is None else instant(text).astimezone(TRADING_ZONE).strftime("%d %b %Y, %H:%M:%S")


def money(amount: str | Decimal | None, *, sign: bool = False) -> str:
    """Return rupees with two decimals, more only if the amount has them, and thousands separated."""
    if amount is None:
        return NONE
    value = Decimal(amount)
    exact = value.quantize(Decimal("0.01"))
    shown = exact if exact == value else value.normalize()
    text = f"{abs(shown):,}"
    if value < 0:
        return f"{MINUS}{text}"
    return f"+{text}" if sign and value > 0 else text


def share(trade: dict[str, str]) -> str:
    """Return the distance of a trade to its stop as a share of its last price."""
    return f"{Decimal(trade['distance']) / Decimal(trade['last_price']):.2%}".replace("-", MINUS)


def tone_of(amount: str | Decimal | None) -> str:
    """Return the tone of a profit or loss."""
    value = Decimal(amount or 0)
    return "good" if value > 0 else "bad" if value < 0 else "quiet"


def words(constant: str) -> str:
    """Return a constant as words: `STOP_LOSS` as `Stop loss`."""
    return constant.replace("_", " ").replace("-", " ").capitalize()


def short_id(identifier: str) -> str:
    """Return the end of an id: it differs between ids of one moment."""
    return identifier[-8:]


def facts(detail: dict[str, Any]) -> str:
    """Return the inputs of a gate as words."""
    return ", ".join(f"{name.replace('_', ' ')} {_fact(value)}" for name, value in detail.items())


def _fact(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return facts(value)
    if isinstance(value, list):
        return ("; " if any(isinstance(each, dict) for each in value) else ", ").join(map(_fact, value)) or "none"
    return str(value)


def closing_verb(direction: str) -> str:
    """Return the effect of closing a trade of this direction."""
    return "Sells" if direction == "LONG" else "Buys back"


def sentence(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


REASONS = tuple(ExitReason)
STATUSES = tuple(IntentStatus)
STOP_STATUSES = tuple(ProtectiveStopStatus)

FILTERS: dict[str, Callable[..., Any]] = {
    "age": age,
    "clock_time": clock_time,
    "closing_verb": closing_verb,
    "decision": lambda status: DECISIONS.get(status, ""),
    "duration": duration,
    "fact": _fact,
    "facts": facts,
    "full_time": full_time,
    "money": money,
    "plural": plural,
    "sentence": sentence,
    "share": share,
    "second_time": second_time,
    "short_id": short_id,
    "status_sentence": lambda status: STATUS_SENTENCES.get(status, words(status)),
    "status_tone": lambda status: STATUS_TONES.get(status, "quiet"),
    "stop_sentence": lambda status: STOP_SENTENCES.get(status, words(status)),
    "stop_tone": lambda status: STOP_TONES.get(status, "quiet"),
    "tone_of": tone_of,
    "words": words,
}
