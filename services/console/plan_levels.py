"""Fixed levels of exit plans, and their distance from a price."""

from __future__ import annotations

from decimal import Decimal

from services.console.api_client import Json
from services.console.wording import money, words


def levels_of(plan: Json) -> list[tuple[str, str]]:
    """Return the fixed levels of an exit plan, each leg of its targets too: name and price."""
    legs = [(f"Target {number}", leg["price"]) for number, leg in enumerate(plan.get("targets") or (), 1)]
    fixed = [(words(name), plan[name]) for name in ("target", "stop_loss") if isinstance(plan.get(name), str)]
    return fixed + legs


def nearest_level(trade: Json, price: str) -> str:
    """Return the fixed level of a trade nearest to a price, with its distance; empty if it has none."""
    now = Decimal(price)
    levels = sorted(levels_of(trade["exit_plan"]), key=lambda level: abs(Decimal(level[1]) - now))
    if not levels:
        return ""
    name, level = levels[0]
    gain = (now - Decimal(level)) * (1 if trade["direction"] == "LONG" else -1)
    is_past = gain >= 0 if name.startswith("Target") else gain <= 0
    return f"{money(abs(gain))} ({abs(gain) / now:.2%}) {'past' if is_past else 'to'} {name.lower()}"
