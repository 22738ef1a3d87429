"""Vocabulary common to events, rows and rules."""

from __future__ import annotations

from enum import StrEnum


class Direction(StrEnum):
    """The direction of a trade."""

    LONG = "LONG"
    SHORT = "SHORT"

    def __init__(self, value: str) -> None:
        # Every price of a rule asks for its sign, and a property takes several times as long.
        self.sign = 1 if value == "LONG" else -1


class ProductType(StrEnum):
    """MIS is squared off the same day, CNC is delivery, NRML carries futures and options overnight."""

    MIS = "MIS"
    CNC = "CNC"
    NRML = "NRML"


class ExitReason(StrEnum):
    """Why a trade exits; members stand in order of rank, highest first, EXTERNAL outside the order."""

    MANUAL = "MANUAL"
    STOP_LOSS = "STOP_LOSS"
    ACCOUNT_LOSS = "ACCOUNT_LOSS"
    TRAILING_STOP = "TRAILING_STOP"
    BREAK_EVEN = "BREAK_EVEN"
    TARGET = "TARGET"
    BRICK_REVERSAL = "BRICK_REVERSAL"
    TIME = "TIME"
    EXTERNAL = "EXTERNAL"

    # The library's is written in Python, and every key of a rule is hashed by it.
    __hash__ = str.__hash__

    @property
    def rank(self) -> int:
        """Return the priority; 0 is the highest. The highest of several reasons on one tick wins."""
        return _RANK[self]


_RANK = {reason: rank for rank, reason in enumerate(ExitReason)}


class IntentStatus(StrEnum):
    """Where an ExitIntent stands."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    SUBMITTING = "SUBMITTING"
    UNKNOWN = "UNKNOWN"
    PLACED = "PLACED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class TradeStatus(StrEnum):
    """Where a trade stands."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class Charge(StrEnum):
    """Lines of a contract note; STT is CTT on commodities."""

    BROKERAGE = "BROKERAGE"
    STT = "STT"
    EXCHANGE = "EXCHANGE"
    SEBI = "SEBI"
    STAMP = "STAMP"
    GST = "GST"
    DEPOSITORY = "DEPOSITORY"


class Leg(StrEnum):
    """Entry or exit side of a trade, for a charge line."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"


class ChargesStatus(StrEnum):
    """Origin of a closed trade's charges: calculated, or from contract notes; UNKNOWN without rates for its days."""

    ESTIMATED = "ESTIMATED"
    FINAL = "FINAL"
    UNKNOWN = "UNKNOWN"


class CorporateActionKind(StrEnum):
    """Change of a listed instrument that its holders did not trade."""

    SPLIT = "SPLIT"
    BONUS = "BONUS"
    RENAME = "RENAME"


class KillSwitchMode(StrEnum):
    """The scope of the kill switch. Only ALL holds back exits, and never a manual one."""

    OFF = "OFF"
    ENTRIES_ONLY = "ENTRIES_ONLY"
    ALL = "ALL"


class MarketPhase(StrEnum):
    """Phase of an exchange's day. Exits are sent only in OPEN."""

    PRE_OPEN = "PRE_OPEN"
    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"


class RolloutMode(StrEnum):
    """How far the exit pipeline is switched on."""

    OFF = "off"
    DARK = "dark"
    LIMITED = "limited"
    FULL = "full"


class LossBasis(StrEnum):
    """The profit and loss at the start of the trading day; an account's loss counts from it."""

    START_OF_DAY = "START_OF_DAY"
    PEAK = "PEAK"


class ProtectiveStopStatus(StrEnum):
    """State of a protective stop: a stop order held by the broker for a trade."""

    WANTED = "WANTED"
    PLACING = "PLACING"
    ARMED = "ARMED"
    REPLACING = "REPLACING"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    TRIGGERED = "TRIGGERED"
    FAILED = "FAILED"
