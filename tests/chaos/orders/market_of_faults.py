"""A seeded schedule of faults at the paper broker, of prices, and of orders that somebody sends by hand."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from kiteconnect.exceptions import KiteException
from requests import RequestException

from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.order_terms import reducing_side
from tests.integration.paper_broker.conftest import RunningBroker

REFUSALS: Final[Mapping[str, int]] = {
    "OrderException": 400,
    "InputException": 400,
    "MarginException": 400,
    "NetworkException": 429,
    "TokenException": 403,
    "DataException": 502,
    "GeneralException": 500,
}


ORDER_FAULTS: Final = (
    "refuse",
    "reject",
    "delay_fill",
    "partial_fill",
    "partial_rest",
    "drop_answer",
    "cancel_order",
    "fill_after_cancel",
    "hide_order",
    "none",
)
STOP_FAULTS: Final = (*ORDER_FAULTS, *["fill_after_cancel"] * 4)
"""Most stops end by a cancel; with these weights a short run sees late fills of some."""
BODIES: Final = ("html", "truncated", "cut", "empty", "no_data", "null_data", "untyped")


UNCLEAR: Final = (KiteException, RequestException, KeyError, TypeError)
"""What the official client raises under faults."""


class MarketOfFaults:
    """Disturbs one paper broker; every die comes from one source."""

    def __init__(self, paper: RunningBroker, dice: random.Random) -> None:
        self._paper = paper
        self._dice = dice
        self._kite = paper.client()
        self.overfillable: set[str] = set()
        """Symbols with orders that may fill for more than their trade, whatever we do."""

    def fault(self, symbol: str, quantity: int, kinds: Sequence[str] = ORDER_FAULTS) -> str:
        """Put a fault in the way of the next order of a symbol; return what it is."""
        dice = self._dice
        kind = dice.choice(kinds)
        effect: dict[str, Any] = {"kind": kind}
        match kind:
            case "refuse":
                error_type = dice.choice(list(REFUSALS))
                effect |= {"error_type": error_type, "http_status": REFUSALS[error_type], "message": "on request"}
            case "delay_fill":
                effect |= {"ms": dice.choice([50, 200, 600])}
            case "partial_fill":
                effect |= {"quantity": dice.randint(0, quantity)}
            case "partial_rest":
                effect = {"kind": "partial_fill", "quantity": dice.randint(0, quantity)}
                effect |= {"rest_after_ms": dice.choice([100, 500])}
            case "drop_answer":
                effect |= {"after_ms": 0}
            case "hide_order":
                effect |= {"ms": dice.choice([20, 150])}
            case "cancel_order" | "fill_after_cancel":
                self._paper.fault({"kind": "partial_fill", "quantity": dice.randint(0, quantity)}, symbol)
                effect |= {"after_ms": dice.choice([0, 50, 300, 1000])}
        if kind == "fill_after_cancel":
            self.overfillable.add(symbol)
        if kind != "none":
            self._paper.fault(effect, symbol)
        return kind

    def disturb(self, calls: str) -> None:
        """Put a fault in the way of the next call of a kind, whichever order it is of."""
        dice = self._dice
        effect: dict[str, Any] = dice.choice(
            [
                {"kind": "expire_session"},
                {"kind": "lose_request", "after_ms": 0},
                {"kind": "slow_answer", "ms": dice.choice([10, 60]), "parts": dice.randint(1, 3)},
                {"kind": "wrong_answer", "body": dice.choice(BODIES), "http_status": dice.choice([200, 400, 502])},
            ]
        )
        self._paper.fault({**effect, "calls": calls}, symbol=None)

    def resize_by_hand(self, symbol: str) -> None:
        """Somebody lowers or raises the working order of a symbol."""
        for order in self._working(symbol):
            self.overfillable.add(symbol)
            quantity = order["filled_quantity"] + self._dice.randint(1, 30)
            with suppress(*UNCLEAR):  # filled meanwhile, or a fault that was meant for us
                self._kite.modify_order("regular", order["order_id"], quantity=quantity)

    def price(self, symbol: str) -> None:
        """Trade a symbol at another price."""
        self._paper.price(symbol, f"{self._dice.randint(19_000, 21_000) / 20:.2f}")

    def exit_by_hand(self, trade: OpenTrade, quantity: int) -> None:
        """Somebody closes a part of a trade's position in another session of the account."""
        exchange, _, name = trade.symbol.partition(":")
        side = reducing_side(trade.direction).value
        try:
            self._kite.place_order(
                "regular", exchange, name, side, quantity, "MIS", "MARKET", validity="DAY", market_protection=-1
            )
        except UNCLEAR:
            return  # a fault that was meant for an order of ours

    def cancel_by_hand(self, symbol: str) -> None:
        """Somebody cancels the working order of a symbol."""
        for order in self._working(symbol):
            with suppress(*UNCLEAR):  # ended meanwhile, or a fault that was meant for us
                self._kite.cancel_order("regular", order["order_id"])

    def _working(self, symbol: str) -> list[dict[str, Any]]:
        records = self._paper.desk.records
        return [
            order
            for order in records.orders("PAPER")
            if order["status"] == "OPEN" and f"{order['exchange']}:{order['tradingsymbol']}" == symbol
        ]

    def calm(self) -> None:
        """Remove every fault that no order has met."""
        self._paper.clear_faults()
