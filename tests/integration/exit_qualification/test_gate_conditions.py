"""The SQL condition of a gate says the same as its Python, for any input."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.gates.gate import GateSpec, Verdict
from services.exit_qualification.domain.gates.gate_input import GateInput
from services.exit_qualification.domain.gates.registry import GATES, deferred_sql, unsent_sql
from services.exit_qualification.domain.market_facts import MarketFacts, PriceFacts
from services.exit_qualification.domain.order_terms import BrokerStatus, reducing_side
from services.exit_qualification.domain.switches import Rollout
from shared.clock import SystemClock
from shared.contracts.vocabulary import Direction, ExitReason, KillSwitchMode, MarketPhase, RolloutMode
from tests.unit.exit_qualification.examples import exit_request

SYMBOLS = ("NSE:INFY", "NSE:TCS")
ACCOUNTS = ("paper", "live")
PRICES = st.integers(1, 4).map(Decimal)
INPUTS = st.builds(
    exit_request,
    symbol=st.sampled_from(SYMBOLS),
    user_broker_id=st.sampled_from(ACCOUNTS),
    exit_reason=st.sampled_from(ExitReason),
    broker_status=st.none() | st.sampled_from(BrokerStatus),
    kill_switch=st.sampled_from(KillSwitchMode),
    rollout=st.builds(
        Rollout,
        st.sampled_from(RolloutMode),
        st.frozensets(st.sampled_from(SYMBOLS)),
        st.frozensets(st.sampled_from(ACCOUNTS)),
    ),
    has_live_intent=st.booleans(),
    direction=st.sampled_from(Direction),
    market=st.builds(
        MarketFacts,
        phase=st.none() | st.sampled_from(MarketPhase),
        price=st.builds(
            PriceFacts,
            age_ms=st.none() | st.sampled_from([0, 2_000, 20_000, 80_000, 500_000]),
            last=st.none() | PRICES,
            lower_limit=st.none() | PRICES,
            upper_limit=st.none() | PRICES,
            buy_quantity=st.none() | st.integers(0, 1),
            sell_quantity=st.none() | st.integers(0, 1),
        ),
        tick_fresh_ms=st.sampled_from([10_000, 60_000]),
    ),
    detected_price=st.none() | PRICES,
    token_refused=st.booleans(),
    filled_quantity=st.integers(0, 101),
)
CONDITIONS = {spec.gate.value: spec.defers_while for spec in GATES if spec.defers_while} | {
    "deferred": deferred_sql(),
    "unsent": unsent_sql(),
}
ASK = text(f"""
SELECT {", ".join(f'({condition}) AS "{name}"' for name, condition in CONDITIONS.items())}
  FROM jsonb_populate_record(CAST(NULL AS exit_intents), CAST(:intent AS jsonb)) AS i
 CROSS JOIN jsonb_populate_record(CAST(NULL AS kill_switch), CAST(:kill_switch AS jsonb)) AS k
 CROSS JOIN jsonb_populate_record(CAST(NULL AS rollout), CAST(:rollout AS jsonb)) AS r
  LEFT JOIN jsonb_populate_record(CAST(NULL AS user_brokers), CAST(:broker AS jsonb)) AS b
    ON b.user_broker_id = i.user_broker_id
  LEFT JOIN jsonb_populate_record(CAST(NULL AS market_now), CAST(:market AS jsonb)) AS m ON m.exchange = 'NSE'
  LEFT JOIN jsonb_populate_record(CAST(NULL AS market_now), CAST(:any_market AS jsonb)) AS a ON a.exchange = '*'
  LEFT JOIN jsonb_populate_record(CAST(NULL AS market_prices), CAST(:price AS jsonb)) AS p ON true
""")


def rows_of(facts: GateInput) -> dict[str, str]:
    """Return the rows for the database equal to the input in Python."""
    account = {"user_broker_id": facts.user_broker_id}
    price, now = facts.market.price, SystemClock().now()
    refused_at = "2026-01-01" if facts.token_refused else None
    fresh = {"tick_fresh_ms": facts.market.tick_fresh_ms}
    rows: dict[str, Any] = {
        "intent": account | {"symbol": facts.symbol, "exit_reason": facts.exit_reason, "direction": facts.direction},
        "kill_switch": {"mode": facts.kill_switch},
        "rollout": {
            "mode": facts.rollout.mode,
            "symbols": sorted(facts.rollout.symbols),
            "user_broker_ids": sorted(facts.rollout.user_broker_ids),
        },
        "market": {} if facts.market.phase is None else {"exchange": "NSE", "phase": facts.market.phase} | fresh,
        "any_market": {"exchange": "*", "phase": facts.market.phase} | fresh,
        "price": {
            "priced_at": None if price.age_ms is None else (now - timedelta(milliseconds=price.age_ms)).isoformat(),
            "last_price": None if price.last is None else str(price.last),
            "lower_limit": None if price.lower_limit is None else str(price.lower_limit),
            "upper_limit": None if price.upper_limit is None else str(price.upper_limit),
            "buy_quantity": price.buy_quantity,
            "sell_quantity": price.sell_quantity,
        },
        "broker": {}
        if facts.broker_status is None
        else account | {"status": facts.broker_status, "token_refused_at": refused_at},
    }
    return {name: json.dumps(row) for name, row in rows.items()}


def said_by_sql(connection: Connection, facts: GateInput) -> dict[str, bool]:
    return dict(connection.execute(ASK, rows_of(facts)).one()._mapping)


def said_by_python(facts: GateInput) -> dict[str, bool]:
    known = facts.broker_status is not None
    facts = replace(facts, order_side=reducing_side(facts.direction), token_refused=known and facts.token_refused)
    result = ExitQualificationService().qualify(facts)
    deferring = {verdict.gate.value for verdict in result.verdicts if verdict.verdict is Verdict.DEFER}
    assert deferring <= CONDITIONS.keys(), "a gate that defers has no SQL condition"
    by_gate = {name: name in deferring for name in CONDITIONS}
    return by_gate | {"deferred": bool(deferring), "unsent": bool(deferring) or not result.executable}


@pytest.mark.parametrize("spec", [spec for spec in GATES if spec.defers_while], ids=lambda spec: spec.gate)
def test_inputs_let_each_deferring_gate_defer(spec: GateSpec) -> None:
    always_the_same = settings(derandomize=True, database=None, max_examples=1000, phases=[Phase.generate])
    find(INPUTS, lambda facts: spec.verdict_on(facts).verdict is Verdict.DEFER, settings=always_the_same)


def test_python_and_sql_hold_the_same_exits_back(exit_engine: Engine) -> None:
    with exit_engine.connect() as connection:

        @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(INPUTS)
        def agree(facts: GateInput) -> None:
            assert said_by_sql(connection, facts) == said_by_python(facts)

        agree()
