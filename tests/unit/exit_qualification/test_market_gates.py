"""Gates over facts of the market: what they refuse, and what they say where a fact is not known."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.gates.gate import Gate, GateVerdict, Verdict
from services.exit_qualification.domain.gates.registry import spec_of
from services.exit_qualification.domain.market_facts import InstrumentTerms, MarketFacts
from shared.contracts.vocabulary import Direction, MarketPhase, ProductType
from tests.unit.exit_qualification.examples import exit_request

PASS, REJECT, DEFER = Verdict.PASS, Verdict.REJECT, Verdict.DEFER


def judge(gate: Gate, **changes: Any) -> GateVerdict:
    return spec_of(gate).verdict_on(exit_request(**changes))


def terms(**known: Any) -> MarketFacts:
    return MarketFacts(instrument=InstrumentTerms(**known))


def test_an_exit_of_a_symbol_that_nothing_is_known_of_passes_and_says_what_is_missing() -> None:
    result = ExitQualificationService().qualify(exit_request())
    assert result.passed
    unknown = {each.gate: each.detail["unknown"] for each in result.verdicts if "unknown" in each.detail}
    assert (
        unknown.items()
        >= {
            Gate.SESSION_PHASE: "no calendar",
            Gate.TICK_SIZE: "no instrument data",
            Gate.LOT: "no instrument data",
            Gate.FREEZE_QTY: "no freeze quantity",
        }.items()
    )


@pytest.mark.parametrize("phase", [None, *MarketPhase])
def test_an_exit_waits_outside_the_open_phase(phase: MarketPhase | None) -> None:
    found = judge(Gate.SESSION_PHASE, market=MarketFacts(phase=phase))
    assert found.verdict is (PASS if phase in (None, MarketPhase.OPEN) else DEFER)
    assert found.detail["exchange"] == "NSE"


@pytest.mark.parametrize(("lot", "verdict"), [(1, PASS), (25, PASS), (75, REJECT), (101, REJECT)])
def test_a_quantity_is_a_multiple_of_the_lot(lot: int, verdict: Verdict) -> None:
    assert judge(Gate.LOT, market=terms(lot_size=lot)).verdict is verdict


@pytest.mark.parametrize(("most", "filled", "verdict"), [(100, 0, PASS), (99, 0, REJECT), (99, 1, PASS)])
def test_a_quantity_does_not_exceed_the_freeze_quantity(most: int, filled: int, verdict: Verdict) -> None:
    assert judge(Gate.FREEZE_QTY, market=terms(freeze_quantity=most), filled_quantity=filled).verdict is verdict


@pytest.mark.parametrize(
    ("limit", "tick", "verdict"),
    [(None, "0.05", PASS), ("100.05", "0.05", PASS), ("100.07", "0.05", REJECT), ("100.07", "0.01", PASS)],
)
def test_a_limit_price_is_a_multiple_of_the_tick(limit: str | None, tick: str, verdict: Verdict) -> None:
    price = None if limit is None else Decimal(limit)
    assert judge(Gate.TICK_SIZE, limit_price=price, market=terms(tick_size=Decimal(tick))).verdict is verdict


@pytest.mark.parametrize(
    ("symbol", "product", "ordered", "direction", "verdict"),
    [
        ("NSE:INFY", "MIS", "MIS", "LONG", PASS),
        ("NSE:INFY", "MIS", "CNC", "LONG", REJECT),
        ("NSE:INFY", "CNC", "CNC", "LONG", PASS),
        ("NSE:INFY", "CNC", "CNC", "SHORT", REJECT),
        ("NFO:NIFTY26JANFUT", "MIS", "MIS", "SHORT", PASS),
        ("NFO:NIFTY26JANFUT", "CNC", "CNC", "LONG", REJECT),
        ("XYZ:SOMETHING", "CNC", "CNC", "LONG", PASS),
    ],
)
def test_the_product_is_the_trades_and_the_exchange_offers_it(
    symbol: str, product: str, ordered: str, direction: str, verdict: Verdict
) -> None:
    found = judge(
        Gate.PRODUCT_MATCH,
        symbol=symbol,
        product_type=ProductType(product),
        order_product_type=ProductType(ordered),
        direction=Direction(direction),
    )
    assert found.verdict is verdict
