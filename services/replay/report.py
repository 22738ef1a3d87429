"""Figures of replays: totals, drawdown, and rows to print."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from services.replay.player import OpenPosition, Played, ReplayedExit
from shared.clock import rfc3339
from shared.money import money_text

ZERO: Final = Decimal(0)
EXIT_COLUMNS: Final = (
    "filled_at", "symbol", "direction", "exit_reason", "leg", "level", "detected_price", "fill_price", "quantity",
    "entry_price", "gross_pnl", "charges", "net_pnl", "detected_at", "trade_id",
)  # fmt: skip
TOTAL_COLUMNS: Final = (
    "exits", "winners", "losers", "open", "gross_pnl", "charges", "net_pnl", "max_drawdown", "unrealised_pnl",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of a replay in rupees.

    Attributes
    ----------
    winners, losers:
        Number of exits with a net P&L above and below 0.
    max_drawdown:
        Largest fall of the summed net P&L from a maximum before it, which is 0 at the start.
    unrealised_pnl:
        Gross P&L of open trades at the last prices; without trades of symbols without a tick.
    """

    exits: int
    winners: int
    losers: int
    open: int
    gross_pnl: Decimal
    charges: Decimal
    net_pnl: Decimal
    max_drawdown: Decimal
    unrealised_pnl: Decimal


def totals(played: Played) -> Totals:
    """Return the sums of a replay."""
    exits = played.exits
    return Totals(
        exits=len(exits),
        winners=sum(each.net_pnl > 0 for each in exits),
        losers=sum(each.net_pnl < 0 for each in exits),
        open=len(played.open),
        gross_pnl=sum((each.gross_pnl for each in exits), ZERO),
        charges=sum((each.charges or ZERO for each in exits), ZERO),
        net_pnl=sum((each.net_pnl for each in exits), ZERO),
        max_drawdown=max_drawdown([each.net_pnl for each in exits]),
        unrealised_pnl=sum((each.unrealised_pnl or ZERO for each in played.open), ZERO),
    )


def max_drawdown(gains: Sequence[Decimal]) -> Decimal:
    """Return the largest fall of the running sum from its highest value before, at least 0."""
    highest = total = fall = ZERO
    for gain in gains:
        total += gain
        highest = max(highest, total)
        fall = max(fall, highest - total)
    return fall


def equity(played: Played) -> Iterator[tuple[datetime, Decimal]]:
    """Yield the summed net P&L after each exit."""
    total = ZERO
    for each in played.exits:
        total += each.net_pnl
        yield each.filled_at, total


def exit_row(each: ReplayedExit) -> dict[str, Any]:
    """Return an exit as JSON-safe values by name."""
    trade = each.trade
    return {
        "filled_at": rfc3339(each.filled_at),
        "symbol": trade.symbol,
        "direction": trade.direction.value,
        "exit_reason": each.exit_reason.value,
        "leg": each.leg,
        "level": None if each.level is None else money_text(each.level),
        "detected_price": None if each.detected_price is None else money_text(each.detected_price),
        "fill_price": money_text(each.fill_price),
        "quantity": each.quantity,
        "entry_price": money_text(trade.entry_price),
        "gross_pnl": money_text(each.gross_pnl),
        "charges": None if each.charges is None else money_text(each.charges),
        "net_pnl": money_text(each.net_pnl),
        "detected_at": rfc3339(each.detected_at),
        "trade_id": str(trade.trade_id),
    }


def open_row(each: OpenPosition) -> dict[str, Any]:
    """Return an open trade as JSON-safe values by name."""
    trade, gain = each.trade, each.unrealised_pnl
    return {
        "symbol": trade.symbol,
        "direction": trade.direction.value,
        "open_quantity": trade.open_quantity,
        "entry_price": money_text(trade.entry_price),
        "last_price": None if each.last_price is None else money_text(each.last_price),
        "unrealised_pnl": None if gain is None else money_text(gain),
        "trade_id": str(trade.trade_id),
    }


def total_row(sums: Totals) -> dict[str, Any]:
    """Return sums as JSON-safe values by name."""
    values = {name: getattr(sums, name) for name in TOTAL_COLUMNS}
    return {name: money_text(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def document(played: Played) -> dict[str, Any]:
    """Return a replay as a JSON document."""
    return {
        "exits": [exit_row(each) for each in played.exits],
        "open": [open_row(each) for each in played.open],
        "totals": total_row(totals(played)),
        "ticks": played.ticks,
        "stale_ticks": played.stale,
        "other_ticks": played.others,
    }


@dataclass(frozen=True, slots=True)
class Compared:
    """Exits of one trade in two replays; the net P&L in rupees."""

    trade_id: str
    symbol: str
    direction: str
    first: str
    second: str
    first_net: Decimal
    second_net: Decimal

    def row(self) -> dict[str, Any]:
        """Return it as JSON-safe values by name."""
        return {
            "symbol": self.symbol,
            "direction": self.direction,
            "plan": self.first,
            "compared": self.second,
            "net_pnl": money_text(self.first_net),
            "compared_net_pnl": money_text(self.second_net),
            "difference": money_text(self.second_net - self.first_net),
            "trade_id": self.trade_id,
        }


def compare(first: Played, second: Played) -> list[Compared]:
    """Return every trade of a book with its exits in both replays, in order of the first."""
    firsts, seconds = _by_trade(first), _by_trade(second)
    trades = {each.trade.trade_id: each.trade for each in first.exits}
    trades |= {each.trade.trade_id: each.trade for each in first.open}
    return [
        Compared(
            str(trade_id),
            trade.symbol,
            trade.direction.value,
            _words(firsts[trade_id]),
            _words(seconds[trade_id]),
            _net(firsts[trade_id]),
            _net(seconds[trade_id]),
        )
        for trade_id, trade in trades.items()
    ]


def _net(exits: Iterable[ReplayedExit]) -> Decimal:
    return sum((each.net_pnl for each in exits), ZERO)


def _by_trade(played: Played) -> defaultdict[UUID, list[ReplayedExit]]:
    found: defaultdict[UUID, list[ReplayedExit]] = defaultdict(list)
    for each in played.exits:
        found[each.trade.trade_id].append(each)
    return found


def _words(exits: Sequence[ReplayedExit]) -> str:
    if not exits:
        return "OPEN"
    return ", ".join(f"{each.exit_reason} {money_text(each.fill_price)} {rfc3339(each.filled_at)}" for each in exits)
