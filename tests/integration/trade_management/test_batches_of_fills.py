"""A batch of fill reports has the effects of its reports one at a time, in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from services.trade_management.domain.fill_report import FillReport
from services.trade_management.domain.trade import Trade
from shared.contracts.vocabulary import Direction, ProductType
from tests.integration.trade_management.ledger import CLOCK, Intent, execution, open_trade, rows
from tests.integration.trade_management.test_closing import apply, report
from tests.support.statements import sent_statements, waits

RESULTS = ("status", "open_quantity", "exit_price", "exit_reason", "gross_pnl", "charges", "net_pnl", "closed_at")

AT = CLOCK.now()
WAITS = 3
"""Times at which a batch waits for the server: for its trades, the numbers of its events, and its commit."""

PARTS = st.lists(st.integers(1, 60), min_size=1, max_size=3)
"""Quantities of the fills of one intent, of a trade of 100."""


def reports_of_parts(engine: Engine, trades: int) -> list[list[FillReport]]:
    """The first and the second half of so many trades, filled by an intent each."""
    opened = [open_trade(engine, symbol=f"NSE:S{trades}X{nth}") for nth in range(trades)]
    return [[report(Intent(trade).filled(execution(50, nth=nth, at=AT))) for trade in opened] for nth in (1, 2)]


def statements_of(engine: Engine, reports: list[FillReport]) -> int:
    """The statements of a batch, without the charge schedule: it is read every ten seconds."""
    with sent_statements() as statements:
        apply(engine, reports)
    return sum("charge_schedules" not in statement for statement in statements)


def test_statements_do_not_depend_on_the_size_of_a_batch(trade_engine: Engine) -> None:
    for size in (1, 2, 30):
        whole, reduced = reports_of_parts(trade_engine, size)
        # trades, waiting ones, inbox; new fills, closures and results; numbers, events
        assert statements_of(trade_engine, whole) == 8
        # and the fills and closures so far
        assert statements_of(trade_engine, reduced) == 10


def test_a_batch_waits_as_rarely_as_one_report(trade_engine: Engine) -> None:
    for size in (1, 30):
        whole, _ = reports_of_parts(trade_engine, size)
        apply(trade_engine, reports_of_parts(trade_engine, 1)[0])  # reads the charge schedule
        with waits() as waited:
            apply(trade_engine, whole)
        assert len(waited) == WAITS, waited


def reports_of(trade: Trade, intents: Sequence[Sequence[int]]) -> list[FillReport]:
    """The reports of intents filled in parts, every report with all parts so far."""
    told = []
    for nth, parts in enumerate(intents):
        intent = Intent(trade)
        fills = [execution(part, "1010.05", nth=10 * nth + n, at=AT) for n, part in enumerate(parts)]
        told += [report(intent.partially_filled(*fills[: n + 1])) for n in range(len(fills))]
    return told


def results(engine: Engine, trades: Sequence[Trade]) -> list[dict[str, Any]]:
    found = []
    for trade in trades:
        [row] = rows(engine, f"SELECT {', '.join(RESULTS)} FROM trades WHERE trade_id = :id", id=trade.trade_id)
        of_trade = "FROM trade_closures c JOIN charge_lines l USING (closure_id) WHERE trade_id = :id"
        row["lines"] = rows(
            engine, f"SELECT nth, leg, charge, amount {of_trade} ORDER BY nth, leg, charge", id=trade.trade_id
        )
        row["events"] = rows(
            engine,
            "SELECT ce_type FROM outbox_event WHERE ce_subject = :id ORDER BY sequence",
            id=str(trade.trade_id),
        )
        row["late"] = rows(
            engine, "SELECT sum(quantity) AS n FROM trade_fills WHERE trade_id = :id AND late", id=trade.trade_id
        )
        found.append(row)
    return found


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    intents=st.lists(st.lists(PARTS, min_size=1, max_size=2), min_size=2, max_size=2),
    order=st.sampled_from([*permutations((Direction.LONG, Direction.SHORT))]),
)
def test_batch_gives_same_result_as_its_single_reports(
    trade_engine: Engine, intents: list[list[list[int]]], order: tuple[Direction, ...]
) -> None:
    def trades() -> list[Trade]:
        return [open_trade(trade_engine, direction, entered_at=AT, product_type=ProductType.MIS) for direction in order]

    together, alone = trades(), trades()
    batch = [each for trade, parts in zip(together, intents, strict=True) for each in reports_of(trade, parts)]
    apply(trade_engine, [*batch, batch[0]])
    for trade, parts in zip(alone, intents, strict=True):
        for each in reports_of(trade, parts):
            apply(trade_engine, [each])
    assert results(trade_engine, together) == results(trade_engine, alone)
