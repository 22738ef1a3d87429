"""TICK_FRESH: an exit by price is sent only by a price of the last seconds."""

from __future__ import annotations

from typing import Final

from services.exit_qualification.domain.gates.gate import Detail, Gate, GateSpec, Verdict, defer_unless
from services.exit_qualification.domain.gates.gate_input import GateInput
from shared.exit_rules.registry import RULES

BY_NO_PRICE: Final = frozenset(rule.reason for rule in RULES if not rule.by_price)
"""Reasons not decided by a price of the trade's symbol."""
_REASONS = ", ".join(f"'{reason}'" for reason in sorted(BY_NO_PRICE))
BY_PRICE_SQL: Final = f"i.exit_reason NOT IN ({_REASONS})"


def check(given: GateInput) -> tuple[Verdict, Detail]:
    """Return DEFER while the last tick and the last quote are too old; PASS for a reason without a price."""
    if given.exit_reason in BY_NO_PRICE:
        return Verdict.PASS, {"exit_reason": given.exit_reason.value}
    age, limit = given.market.price.age_ms, given.market.tick_fresh_ms
    if age is None:
        return Verdict.PASS, {"fresh_ms": limit, "unknown": "no earlier tick"}
    return defer_unless(age <= limit, {"age_ms": age, "fresh_ms": limit})


def older_sql(share: float = 1) -> str:
    """Return the SQL condition: the price of an exit by price is older than so much of its limit."""
    limit_s = "coalesce(m.tick_fresh_ms, a.tick_fresh_ms, 3000) / 1000.0"
    at = f"clock_timestamp() - {share:g} * make_interval(secs => {limit_s})"
    return f"{BY_PRICE_SQL} AND coalesce(p.priced_at < {at}, false)"


TICK_FRESH = GateSpec(
    gate=Gate.TICK_FRESH,
    check=check,
    refusal="the last price of the symbol is too old",
    defers_while=older_sql(),
)
