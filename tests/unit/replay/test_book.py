"""Reading a book of trades and a plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.replay.book import read_book, read_plan
from shared.clock import rfc3339
from shared.contracts.vocabulary import ExitReason
from shared.errors import InvalidInput
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.registry import leg_quantities

PLAN = {"target": "1010.00", "stop_loss": "990.00"}
BODY = {
    "symbol": "NSE:INFY", "direction": "LONG", "product_type": "MIS", "quantity": 100, "entry_price": "1000.00",
    "user_broker_id": "paper", "exit_plan": PLAN, "entered_at": "2026-01-13T03:45:00Z",
}  # fmt: skip
OF_API = {**BODY, "trade_id": str(UUID(int=7)), "status": "OPEN", "open_quantity": 100, "plan_version": 1}


def written(directory: Path, text: str) -> Path:
    file = directory / "book"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([OF_API]),
        json.dumps({"items": [OF_API], "next": None}),
        json.dumps(OF_API),
        "\ufeff" + json.dumps([OF_API]),
        "trade_id,symbol,direction,product_type,quantity,entry_price,target,stop-loss,entered_at\n"
        f"{UUID(int=7)},NSE:INFY,LONG,MIS,100,1000,1010,990,2026-01-13T03:45:00Z\n",
        "trade_id;symbol;direction;quantity;entry_price;target;stop_loss;entered_at\r\n"
        f"{UUID(int=7)};NSE:INFY;LONG;100;1000;1010;990;2026-01-13T03:45:00Z\r\n",
    ],
    ids=["list", "page", "one", "byte order mark", "csv", "semicolons"],
)
def test_a_book_is_read_in_every_form(tmp_path: Path, text: str) -> None:
    (found,) = read_book(written(tmp_path, text))
    trade = found.trade
    assert (trade.trade_id, trade.symbol, trade.quantity, str(trade.entry_price)) == (
        UUID(int=7), "NSE:INFY", 100, "1000.0000"
    )  # fmt: skip
    assert rfc3339(trade.entered_at) == "2026-01-13T03:45:00.000000Z"
    assert found.plan == ExitPlan.model_validate(PLAN)


def test_json_lines_are_trades_too(tmp_path: Path) -> None:
    book = read_book(written(tmp_path, f"{json.dumps(BODY)}\n\n{json.dumps(BODY)}\n"))
    assert [each.trade.trade_id for each in book] == [UUID(int=1), UUID(int=2)]


def test_nested_fields_of_a_plan_are_columns(tmp_path: Path) -> None:
    header = "symbol,direction,quantity,entry_price,trailing_stop.amount,break_even.arm,break_even.offset,max_hold_s"
    (found,) = read_book(written(tmp_path, f"{header}\nNSE:INFY,LONG,1,1000,5,4,1,60\n"))
    assert found.plan == ExitPlan.model_validate(
        {"trailing_stop": {"amount": "5"}, "break_even": {"arm": "4", "offset": "1"}, "max_hold_s": 60}
    )
    assert found.at_first_tick


def test_ladder_legs_are_columns_as_on_command_line(tmp_path: Path) -> None:
    header = "symbol;direction;quantity;entry_price;targets;after-leg;stop_loss"
    text = f"{header}\nNSE:INFY;LONG;100;1000;1010:50,1020:25%;1:break_even;990\n"
    (found,) = read_book(written(tmp_path, text))
    assert leg_quantities(found.plan, found.trade.quantity) == {(ExitReason.TARGET, 1): 50, (ExitReason.TARGET, 2): 25}
    with pytest.raises(InvalidInput, match="line 2"):
        read_book(written(tmp_path, text.replace("1010:50", "1010:half")))


def test_one_plan_for_all_takes_the_place_of_each(tmp_path: Path) -> None:
    plan = ExitPlan.model_validate({"target": "1050"})
    without = {name: value for name, value in BODY.items() if name != "exit_plan"}
    assert [each.plan for each in read_book(written(tmp_path, json.dumps([BODY, without])), plan)] == [plan, plan]


def test_an_event_told_again_counts_once(tmp_path: Path) -> None:
    """Kafka delivers at least once."""
    again = [OF_API, BODY, OF_API | {"arrived_at": "2026-01-13T09:00:00Z"}]
    (first, _) = read_book(written(tmp_path, json.dumps(again)))
    assert (str(first.trade.trade_id), first.arrived_ms) == (OF_API["trade_id"], None)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (json.dumps([BODY | {"exit_plan": {"target": "990"}}]), "profit side"),
        (json.dumps([BODY | {"quantity": 0}]), "trade 1: .*quantity"),
        (json.dumps([BODY | {"exit_plan": None}]), "--plan"),
        (json.dumps([BODY | {"direction": "SHORT", "product_type": "CNC"}]), "cannot be CNC"),
        (json.dumps([OF_API, OF_API | {"quantity": 7}]), "two trades"),
        (
            json.dumps([OF_API, OF_API | {"adjusted_at": "2026-01-13T09:00:00Z", "shares_after": 2}]),
            "trade 2: .*action_id",
        ),
        ("[]", "no trades"),
        ("", "the header is missing"),
        ("[1", "JSON"),
        ("symbol,direction,stoploss\n", "'stoploss' is not known"),
    ],
)
def test_a_bad_book_says_what_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        read_book(written(tmp_path, text))


@pytest.mark.parametrize("told", [PLAN, {"exit_plan": PLAN}])
def test_a_plan_is_read_alone_or_from_a_body(tmp_path: Path, told: dict[str, Any]) -> None:
    assert read_plan(written(tmp_path, json.dumps(told))) == ExitPlan.model_validate(PLAN)


@pytest.mark.parametrize("text", ["{}", '{"goal":"1"}', "[", '"x"'])
def test_a_bad_plan_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match="book"):
        read_plan(written(tmp_path, text))
