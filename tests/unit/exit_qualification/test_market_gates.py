"""Gates over facts of the market: their refusals, and their verdicts on unknown facts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.exit_qualification.domain.candidates import BrickCount
from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.gates.gate import Gate, GateVerdict, Verdict
from services.exit_qualification.domain.gates.registry import spec_of
from services.exit_qualification.domain.market_facts import InstrumentTerms, MarketFacts, PriceFacts
from services.exit_qualification.domain.order_terms import OrderSide
from shared.contracts.vocabulary import Direction, ExitReason, MarketPhase, ProductType
from tests.unit.exit_qualification.examples import exit_request, open_trade

PASS, REJECT, DEFER = Verdict.PASS, Verdict.REJECT, Verdict.DEFER


def judge(gate: Gate, **changes: Any) -> GateVerdict:
    return spec_of(gate).verdict_on(exit_request(**changes))


def terms(**known: Any) -> MarketFacts:
    return MarketFacts(instrument=InstrumentTerms(**known))


def test_exit_of_unknown_symbol_passes_and_names_missing_facts() -> None:
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


def priced(**known: Any) -> MarketFacts:
    prices: dict[str, Any] = {
        name: Decimal(value) if isinstance(value, str) else value for name, value in known.items()
    }
    return MarketFacts(price=PriceFacts(**prices))


@pytest.mark.parametrize(
    ("age_ms", "reason", "verdict"),
    [
        (3000, ExitReason.STOP_LOSS, PASS),
        (3001, ExitReason.STOP_LOSS, DEFER),
        (3001, ExitReason.TIME, PASS),
        (3001, ExitReason.MANUAL, PASS),
        (None, ExitReason.TARGET, PASS),
    ],
)
def test_an_exit_by_price_waits_for_a_fresh_price(age_ms: int | None, reason: ExitReason, verdict: Verdict) -> None:
    assert judge(Gate.TICK_FRESH, exit_reason=reason, market=priced(age_ms=age_ms)).verdict is verdict


@pytest.mark.parametrize(
    ("detected", "last", "verdict"),
    [("985", "985", PASS), ("1", "1", DEFER), ("1", "985", REJECT), ("985", "1", DEFER), (None, "985", PASS)],
)
def test_a_price_outside_the_limits_exits_nothing(detected: str | None, last: str, verdict: Verdict) -> None:
    market = priced(last=last, lower_limit="900", upper_limit="1100")
    price = None if detected is None else Decimal(detected)
    assert judge(Gate.TICK_SANE, detected_price=price, market=market).verdict is verdict
    assert judge(Gate.TICK_SANE, detected_price=price, market=priced(last=last)).verdict is PASS


@pytest.mark.parametrize(
    ("side", "last", "others", "verdict"),
    [
        (OrderSide.SELL, "900", None, DEFER),
        (OrderSide.SELL, "900", 0, DEFER),
        (OrderSide.SELL, "900", 5, PASS),
        (OrderSide.SELL, "900.05", None, PASS),
        (OrderSide.SELL, "1100", None, PASS),
        (OrderSide.BUY, "1100", None, DEFER),
        (OrderSide.BUY, "1100", 5, PASS),
        (OrderSide.BUY, "900", None, PASS),
    ],
)
def test_an_exit_waits_at_the_limit_without_a_counterparty(
    side: OrderSide, last: str, others: int | None, verdict: Verdict
) -> None:
    known = priced(last=last, lower_limit="900", upper_limit="1100", buy_quantity=others, sell_quantity=others)
    assert judge(Gate.CIRCUIT_LOCKED, order_side=side, market=known).verdict is verdict


@pytest.mark.parametrize(("bricks", "verdict"), [(None, PASS), ((2, 2), PASS), ((1, 2), REJECT)])
def test_an_exit_that_waits_for_bricks_has_them(bricks: tuple[int, int] | None, verdict: Verdict) -> None:
    given = None if bricks is None else BrickCount(*bricks)
    assert judge(Gate.CONFIRMED, bricks=given).verdict is verdict


def test_a_confirmed_candidate_says_its_bricks() -> None:
    engine = ExitSignalService()
    engine.add_trade(open_trade(stop_loss=None, bricks={"size": "4", "confirm": 1}))
    assert engine.on_tick("NSE:INFY", 1010_0000, 1, 1).candidates == ()
    ((entry,),) = (engine.on_tick("NSE:INFY", 1012_0000, 2, 2).candidates,)
    assert entry.candidates[0].bricks == (1, 1)
