"""The section of a trade's page about rules not fired, and why."""

from __future__ import annotations

from typing import Any

import pytest

from services.console.rule_story import holds, rule_rows
from services.exit_qualification.api.exit_explanations import RuleView
from tests.unit.console.conftest import Browser
from tests.unit.console.fake_apis import AT, FakeApis, Json, explanation, intent, problem, rule, trade
from tests.unit.console.test_trade import closed_trade, serve


def why_not(**changes: Any) -> str:
    """Return the sentence of one rule."""
    return rule_rows(explanation(rule(**changes)))[0].why


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "The price must fall to 990.00."),
        ({"reached": "at or above", "level": "1010.00"}, "The price must rise to 1,010.00."),
        ({"distance": None}, "No tick of the symbol has arrived."),
        ({"distance": "-1.0000"}, "Fires with the next tick."),
        ({"held_by": "intent"}, "An exit of this rank or a higher one is in progress or filled."),
        (
            {"held_by": "cooldown", "cooldown_until": "2026-01-13T05:00:30.000000Z", "last_episode_id": 2},
            "Cooldown until 10:30:30.000, after exit 2 of the rule.",
        ),
        ({"held_by": "cooldown", "last_episode_id": 1}, "Cooldown without an end, after exit 1 of the rule."),
        (
            {"bricks": {"counted": 1, "needed": 2, "size": "1.50", "last_close": "1001.00"}, "distance": "0.0000"},
            "It needs 2 bricks of 1.50; 1 so far.",
        ),
        (
            {"level": None, "arms_at": "1010.00", "reached": "at or above", "distance": "9.0000"},
            "The price must rise to 1,010.00 first, to arm the rule.",
        ),
        (
            {
                "level": None,
                "reached": None,
                "distance": None,
                "deadline": "2026-01-13T09:45:00.000000Z",
                "due_in_ms": 17_100_000,
            },
            "Due in 4 h 45 m, at 15:15:00.000.",
        ),
    ],
)
def test_a_rule_says_why_it_has_not_fired(changes: Json, sentence: str) -> None:
    assert why_not(**changes) == sentence


def test_only_the_rule_of_a_live_exit_has_fired() -> None:
    found = explanation(rule(), rule(exit_reason="TARGET"), rule(leg=2))
    live, ended = intent(leg=None), intent(exit_reason="TARGET", leg=None, ended_at=AT)
    assert ["fired" in row.why for row in rule_rows(found, [live, ended])] == [True, False, False]


def test_the_rules_here_are_those_of_the_api() -> None:
    assert set(rule()) == set(RuleView.model_validate(rule()).model_dump())


def test_the_distance_is_money_and_a_share_of_the_price() -> None:
    rows = rule_rows(explanation(rule(), rule(distance="0.0000"), rule(distance=None), rule(leg=2)))
    assert [(row.name, row.distance) for row in rows] == [
        ("Stop loss", "11.00 (1.10%)"),
        ("Stop loss", "reached"),
        ("Stop loss", "\N{EN DASH}"),
        ("Stop loss, leg 2", "11.00 (1.10%)"),
    ]


def test_what_holds_every_exit_back_is_said_once() -> None:
    waiting = {
        "work": "STOP_LOSS",
        "waits_since": "2026-01-13T05:00:00Z",
        "retry_at": "2026-01-13T05:00:09Z",
        "why": "held",
    }
    found = explanation(market_phase="PRE_OPEN", waiting=[waiting])
    assert holds(found, [intent(), intent(status="CANCELLED")]) == [
        "The last tick was 1,001.00, 1.2 s ago.",
        "The exchange is in phase pre open: exits wait until it is open.",
        "The stop loss exit fired and is held by kill switch (mode ALL).",
        "The stop loss exit waits since 10:30:00.000: held. Next try at 10:30:09.000.",
    ]
    assert holds(explanation(last_tick=None), []) == ["No tick of NSE:INFY has arrived, so no rule was evaluated."]


def test_an_open_trade_shows_its_rules_and_what_holds_them(operator: Browser, apis: FakeApis) -> None:
    one = trade()
    serve(apis, one, intent(trade_id=one["trade_id"]))
    html = operator.get(f"/trades/{one['trade_id']}").text
    for text in (
        "Why it has not exited",
        "11.00 (1.10%)",
        "It fired at 10:30:00.000; its exit is pending.",
        "is held by kill switch",
    ):
        assert text in html


def test_a_closed_trade_has_no_rules_left(operator: Browser, apis: FakeApis) -> None:
    one, exit_, timeline = closed_trade()
    serve(apis, one, exit_, timeline=timeline)
    assert "Why it has not exited" not in operator.get(f"/trades/{one['trade_id']}").text


def test_page_without_explanation_says_why_and_shows_the_rest(operator: Browser, apis: FakeApis) -> None:
    one = trade()
    serve(apis, one)
    apis.answers[f"GET exit /exits/why/{one['trade_id']}"] = lambda _: problem(404, "not_found", "not known yet; retry")
    html = operator.get(f"/trades/{one['trade_id']}").text
    assert "exit-api: not known yet; retry" in html and "Opened long" in html
