"""Corporate actions over HTTP on a real PostgreSQL: open trades, their plans and P&L, and the way back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.trade_management.domain.trade import Trade
from services.trade_management.exit_holds import HOLD_S
from services.trade_management.live_exits import NO_VERSIONS, PAGE, ExitApiExits, ExitsNotKnown, ExitStanding, Versions
from shared.clock import rfc3339
from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.plan import ExitPlan
from tests.integration.trade_management.ledger import CLOCK, Intent, emitted, execution, open_trade, rows, stored
from tests.integration.trade_management.test_closing import apply, report
from tests.integration.trade_management.test_trade_api import post

OPERATOR = {"Authorization": "Bearer operator-token"}
SPLIT = {"kind": "SPLIT", "symbol": "NSE:INFY", "ratio": "1:10"}


def act(client: TestClient, *actions: dict[str, Any], **more: Any) -> Any:
    body = {"actions": list(actions), "reason": "circular 7", "skip_exit_check": True, **more}
    return client.post("/corporate-actions/apply", json=body, headers=OPERATOR)


def reverse(client: TestClient, action_id: str, **more: Any) -> Any:
    body = {"reason": "wrong ratio", "skip_exit_check": True, **more}
    return client.post(f"/corporate-actions/{action_id}/reverse", json=body, headers=OPERATOR)


def shown(client: TestClient, trade: Trade) -> tuple[Any, ...]:
    body = client.get(f"/trades/{trade.trade_id}").json()
    return body["symbol"], body["quantity"], body["open_quantity"], body["entry_price"], body["exit_plan"]


def told(engine: Engine, trade: Trade) -> dict[str, Any]:
    """The last TradeAdjusted of a trade."""
    found = rows(
        engine,
        "SELECT convert_from(payload, 'utf8')::jsonb AS said FROM outbox_event "
        "WHERE ce_type = 'io.exitflow.TradeAdjusted.v1' AND ce_subject = :id ORDER BY id DESC",
        id=str(trade.trade_id),
    )
    said: dict[str, Any] = found[0]["said"]
    return said


def test_a_split_changes_open_trades_and_plans_once(client: TestClient, trade_engine: Engine) -> None:
    trade, other = open_trade(trade_engine), open_trade(trade_engine, symbol="NSE:TCS")
    assert act(client, SPLIT, dry_run=True).json()["items"][0]["trades"][0]["after"]["quantity"] == 1000
    assert shown(client, trade)[1:4] == (100, 100, "1000.00")
    answer = act(client, SPLIT)
    assert answer.status_code == 200, answer.text
    assert answer.json()["items"][0]["changed"] is True
    after = ("NSE:INFY", 1000, 1000, "100.00", {"target": "101.00", "stop_loss": "99.00"})
    assert shown(client, trade) == after
    assert shown(client, other)[1] == 100
    again = act(client, SPLIT).json()["items"][0]
    assert (again["changed"], again["action_id"]) == (False, answer.json()["items"][0]["action_id"])
    assert shown(client, trade) == after
    assert emitted(trade_engine, "TradeAdjusted", trade.trade_id) == 1
    event = told(trade_engine, trade)
    assert (event["shares_before"], event["shares_after"], event["plan_version"]) == (1, 10, 2)
    (audited,) = client.get("/audit").json()["items"]
    assert (audited["actor"], audited["action"], audited["after"]["trades"]) == (
        "ops-desk",
        "corporate_action.apply",
        [str(trade.trade_id)],
    )


def test_an_entry_told_after_a_later_split_is_refused(client: TestClient, trade_engine: Engine) -> None:
    """Its quantity and prices are of before: nothing would adjust it any more."""
    open_trade(trade_engine)
    action_id = act(client, SPLIT).json()["items"][0]["action_id"]
    before, after = rfc3339(CLOCK.now() - timedelta(minutes=5)), rfc3339(CLOCK.now())
    refused = post(client, entered_at=before)
    assert (refused.status_code, refused.json()["code"], refused.json()["action_id"]) == (
        409,
        "corporate_action_since",
        action_id,
    )
    assert post(client, entered_at=before, symbol="NSE:TCS").status_code == 201
    assert post(client, entered_at=after).status_code == 201
    assert post(client, entered_at=...).status_code == 201
    assert reverse(client, action_id).status_code == 200
    assert post(client, entered_at=before).status_code == 201, "a reversed action counts no more"


def test_split_trade_earns_same_profit_as_unsplit_trade(client: TestClient, trade_engine: Engine) -> None:
    trade = open_trade(trade_engine)
    act(client, SPLIT)
    apply(trade_engine, [report(Intent(trade, quantity=1000).filled(execution(1000, "101")))])
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], str(row["gross_pnl"]), str(row["charges"])) == ("CLOSED", "1000.0000", "82.7200")


def test_what_was_closed_before_stays_and_the_rest_follows(client: TestClient, trade_engine: Engine) -> None:
    plan = ExitPlan.model_validate(
        {"stop_loss": "990", "targets": [{"price": "1010", "quantity": 40}, {"price": "1020", "quantity": 60}]}
    )
    trade = open_trade(trade_engine, plan=plan)
    apply(trade_engine, [report(Intent(trade, quantity=40, leg=1).filled(execution(40, "1010")))])
    act(client, {"kind": "BONUS", "symbol": "NSE:INFY", "ratio": "1:1"})
    symbol, quantity, left, entry, after = shown(client, trade)
    assert (symbol, quantity, left, entry) == ("NSE:INFY", 160, 120, "500.00")
    assert after["targets"] == [{"price": "505.00", "quantity": 40}, {"price": "510.00", "quantity": 120}]
    apply(trade_engine, [report(Intent(trade, ExitReason.STOP_LOSS, quantity=120).filled(execution(120, "495")))])
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], str(row["gross_pnl"])) == ("CLOSED", "-200.0000")  # 40 · 10 - 120 · 5


def test_trades_of_after_the_action_stay(client: TestClient, trade_engine: Engine) -> None:
    at = CLOCK.now() - timedelta(hours=1)
    before = open_trade(trade_engine, entered_at=at - timedelta(seconds=1))
    after = open_trade(trade_engine, entered_at=at)
    answer = act(client, {**SPLIT, "effective_at": rfc3339(at)}).json()
    assert [each["trade_id"] for each in answer["items"][0]["trades"]] == [str(before.trade_id)]
    assert shown(client, after)[1] == 100


@pytest.mark.parametrize("is_reversed", [False, True])
def test_fills_under_another_order_name_of_trade_are_booked(
    client: TestClient, trade_engine: Engine, is_reversed: bool
) -> None:
    trade, other = open_trade(trade_engine), open_trade(trade_engine, symbol="NSE:TCS")
    renamed = {"kind": "RENAME", "symbol": "NSE:INFY", "new_symbol": "NSE:INFX"}
    action_id = act(client, renamed).json()["items"][0]["action_id"]
    placed_as = "NSE:INFY"
    if is_reversed:  # the order was placed while the trade had the new name
        assert reverse(client, action_id).status_code == 200
        placed_as = "NSE:INFX"
    late = Intent(trade).filled(execution(100, "1010")).model_copy(update={"symbol": placed_as})
    wrong = Intent(other).filled(execution(100, "1010")).model_copy(update={"symbol": placed_as})
    (refusal,) = apply(trade_engine, [report(late), report(wrong)]).refusals
    assert (refusal.nth, refusal.code) == (1, "contradicts_trade")
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], row["symbol"]) == ("CLOSED", "NSE:INFY" if is_reversed else "NSE:INFX")
    assert str(row["gross_pnl"]) == "1000.0000"
    assert stored(trade_engine, other.trade_id)["status"] == "OPEN"


def test_a_reversal_restores_exactly_and_once(client: TestClient, trade_engine: Engine) -> None:
    trade, gone = open_trade(trade_engine, entry_price=Decimal("1000.05")), open_trade(trade_engine)
    before = shown(client, trade)
    renamed = {"kind": "RENAME", "symbol": "NSE:INFY", "new_symbol": "NSE:INFX"}
    split = {"kind": "SPLIT", "symbol": "NSE:INFX", "ratio": "1:3"}
    first, second = (item["action_id"] for item in act(client, renamed, split).json()["items"])
    assert shown(client, trade)[:4] == ("NSE:INFX", 300, 300, "333.35")
    moved = Intent(gone, quantity=300).filled(execution(300, "330")).model_copy(update={"symbol": "NSE:INFX"})
    apply(trade_engine, [report(moved)])
    assert reverse(client, first).json()["code"] == "cannot_reverse"  # the split came after it
    assert reverse(client, second, dry_run=True).status_code == 200
    undone = reverse(client, second)
    assert [each["trade_id"] for each in undone.json()["trades"]] == [str(trade.trade_id)]
    assert reverse(client, first).status_code == 200
    assert shown(client, trade) == before
    assert stored(trade_engine, gone.trade_id)["status"] == "CLOSED"
    event = told(trade_engine, trade)
    assert (event["symbol"], event["new_symbol"], event["plan_version"]) == ("NSE:INFX", "NSE:INFY", 5)
    steps = client.get(f"/trades/{trade.trade_id}/timeline").json()["items"]
    assert [(step["kind"], step["quantity"], step["price"]) for step in steps] == [
        ("OPENED", 100, "1000.05"),
        ("ADJUSTED", 100, "1000.05"),
        ("ADJUSTED", 300, "333.35"),
        ("ADJUSTED", 100, "1000.05"),
        ("ADJUSTED", 100, "1000.05"),
    ]
    assert [step["is_reversal"] for step in steps[1:]] == [False, False, True, True]
    kinds = [step["kind"] for step in client.get(f"/trades/{gone.trade_id}/timeline").json()["items"]]
    assert kinds == ["OPENED", "ADJUSTED", "ADJUSTED", "FILL", "CLOSURE"]  # closed before the reversal
    assert reverse(client, first).json()["code"] == "cannot_reverse"
    assert [item["reversed_at"] is not None for item in client.get("/corporate-actions").json()["items"]] == [True] * 2
    assert act(client, SPLIT).json()["items"][0]["changed"] is True


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({**SPLIT, "ratio": "1000:1"}, "would become no whole share"),
        ({**SPLIT, "effective_at": rfc3339(CLOCK.now() + timedelta(days=1))}, "in the future"),
    ],
)
def test_what_cannot_be_applied_is_refused_by_line(
    client: TestClient, trade_engine: Engine, action: dict[str, Any], said: str
) -> None:
    trade = open_trade(trade_engine)
    answer = act(client, {**SPLIT, "symbol": "NSE:TCS", "line": 2}, {**action, "line": 3})
    assert (answer.status_code, answer.json()["code"]) == (422, "corporate_action_refused")
    (error,) = answer.json()["errors"]
    assert error["field"] == "line 3" and said in error["message"]
    assert shown(client, trade)[1] == 100
    assert rows(trade_engine, "SELECT * FROM corporate_actions") == []


def test_another_ratio_of_the_same_day_is_refused(client: TestClient, trade_engine: Engine) -> None:
    open_trade(trade_engine)
    act(client, SPLIT)
    assert "reverse it first" in act(client, {**SPLIT, "ratio": "1:5"}).json()["errors"][0]["message"]


class ToldExits:
    """What exit-api would tell; notes the holds asked for."""

    def __init__(self) -> None:
        self.told: dict[UUID, ExitStanding] = {}
        self.holds: list[int | None] = []
        self.kept: list[tuple[int | None, ...]] = []
        self.moved: dict[UUID, ExitStanding] = {}
        self.is_silent = False

    def standings(
        self, trade_ids: Sequence[UUID], hold_s: int | None, versions: Versions = NO_VERSIONS
    ) -> dict[UUID, ExitStanding]:
        """Standing of each trade: without an exit unless told otherwise."""
        if versions:
            self.kept.append((hold_s, *versions.values()))
            if self.is_silent:
                raise ExitsNotKnown("exit-api does not answer: timed out")
            if hold_s:
                self.told |= self.moved
        else:
            self.holds.append(hold_s)
        return {trade_id: self.told.get(trade_id, ExitStanding(False, 0, was_held=True)) for trade_id in trade_ids}


@pytest.fixture
def exits(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> ToldExits:
    """Exits as trade-api is told of them."""
    told = ToldExits()
    service = client.app.state.context.corporate_actions  # type: ignore[attr-defined]  # FastAPI's
    monkeypatch.setattr(service, "_live_exits", told)
    return told


def test_without_exit_api_an_action_is_refused(client: TestClient, trade_engine: Engine) -> None:
    open_trade(trade_engine)
    unknown = act(client, SPLIT, skip_exit_check=False)
    assert (unknown.status_code, unknown.json()["code"]) == (503, "exits_not_known")


def test_live_exits_and_fills_on_their_way_refuse_an_action(
    client: TestClient, trade_engine: Engine, exits: ToldExits
) -> None:
    trade = open_trade(trade_engine)
    for standing, said in ((ExitStanding(True, 0), "are live"), (ExitStanding(False, 100), "not booked yet")):
        exits.told[trade.trade_id] = standing
        refused = act(client, SPLIT, skip_exit_check=False)
        message = refused.json()["errors"][0]["message"]
        assert str(trade.trade_id) in message and said in message
        assert exits.holds == [HOLD_S, 0], "held, and released"
        exits.holds.clear()
    exits.told.clear()
    assert act(client, SPLIT, skip_exit_check=False, dry_run=True).status_code == 200
    assert exits.holds == [None], "a dry run holds nothing"
    assert act(client, SPLIT, skip_exit_check=False).status_code == 200
    assert exits.holds == [None, HOLD_S], "exit-ticks ends the hold"
    assert exits.kept == [(HOLD_S, 2)], "until it has read the new version"


@pytest.mark.parametrize("moved", [ExitStanding(True, 0, was_held=False), ExitStanding(False, 10, was_held=True), None])
def test_an_exit_moved_during_the_change_refuses_it(
    client: TestClient, trade_engine: Engine, exits: ToldExits, moved: ExitStanding | None
) -> None:
    trade = open_trade(trade_engine)
    if moved is None:
        exits.is_silent = True
    else:
        exits.moved[trade.trade_id] = moved
    refused = act(client, SPLIT, skip_exit_check=False)
    assert (refused.status_code, refused.json()["code"]) == (503, "exits_not_known")
    assert (exits.kept, exits.holds) == ([(HOLD_S, 2), (0, 2)], [HOLD_S, 0]), "withdrawn"
    assert client.get("/corporate-actions").json()["items"] == []


def test_a_reversal_holds_exits_too(client: TestClient, trade_engine: Engine, exits: ToldExits) -> None:
    trade = open_trade(trade_engine)
    action_id = act(client, SPLIT, skip_exit_check=False).json()["items"][0]["action_id"]
    exits.told[trade.trade_id] = ExitStanding(True, 0)
    assert "are live" in reverse(client, action_id, skip_exit_check=False).json()["detail"]
    exits.told.clear()
    assert reverse(client, action_id, skip_exit_check=False).status_code == 200
    assert exits.holds == [HOLD_S, HOLD_S, 0, HOLD_S]


@pytest.mark.parametrize(("status", "said"), [(403, "scope execute"), (500, "500")])
def test_an_exit_api_that_refuses_tells_nothing(status: int, said: str) -> None:
    exits = ExitApiExits("http://exit-api", "token", httpx.MockTransport(lambda _: httpx.Response(status)))
    with pytest.raises(ExitsNotKnown, match=said):
        exits.standings([UUID(int=1)], None)


def test_exits_of_many_trades_are_asked_for_in_pages() -> None:
    sizes = []

    def answer(request: httpx.Request) -> httpx.Response:
        ids = json.loads(request.content)["trade_ids"]
        sizes.append(len(ids))
        return httpx.Response(
            200,
            json={"items": [{"trade_id": it, "is_live": False, "filled_quantity": 7, "was_held": True} for it in ids]},
        )

    found = ExitApiExits("http://exit-api", "token", httpx.MockTransport(answer)).standings(
        [UUID(int=n) for n in range(PAGE + 1)], HOLD_S
    )
    assert sizes == [PAGE, 1] and len(found) == PAGE + 1
    assert found[UUID(int=PAGE)] == ExitStanding(False, 7, was_held=True)
