"""The checker convicts a system with lost, doubled or invented effects of its clients' calls."""

from __future__ import annotations

import pytest

from tests.chaos.stack.calls import Answer, Forced, Opened, judge_forced, judge_opened
from tests.chaos.stack.schedule import KINDS, SERVERS, SERVICES, draw_schedule

OK, FAIL, INFO = Answer.OK, Answer.FAIL, Answer.INFO


def test_calls_with_their_one_effect_are_sound() -> None:
    calls = [Opened(1, OK, "a"), Opened(2, FAIL), Opened(3, INFO), Opened(4, INFO)]
    assert judge_opened(calls, {"a": 1, "d": 4}) == []


@pytest.mark.parametrize(
    ("call", "trades", "said"),
    [
        (Opened(1, OK, "a"), {}, "made none"),
        (Opened(1, OK, "a"), {"b": 1}, "made b"),
        (Opened(1, OK, "a"), {"a": 1, "b": 1}, "made 2 trades"),
        (Opened(1, INFO), {"a": 1, "b": 1}, "made 2 trades"),
        (Opened(1, FAIL), {"a": 1}, "made trade a"),
        (Opened(1, FAIL), {"z": 9}, "never asked for"),
    ],
)
def test_a_trade_lost_doubled_or_invented_is_found(call: Opened, trades: dict[str, int], said: str) -> None:
    (line,) = judge_opened([call], trades)
    assert said in line


@pytest.mark.parametrize(
    ("call", "manual", "said"),
    [
        (Forced("t", OK, "i"), {}, "does not exist"),
        (Forced("t", OK, "i"), {"t": ["j"]}, "does not exist"),
        (Forced("t", FAIL), {"t": ["i"]}, "was refused, and made i"),
        (Forced("t", FAIL), {"u": ["i"]}, "nobody asked for"),
    ],
)
def test_a_manual_exit_lost_or_invented_is_found(call: Forced, manual: dict[str, list[str]], said: str) -> None:
    (line,) = judge_forced([call], manual)
    assert said in line


def test_a_seed_draws_the_same_schedule_and_another_seed_another() -> None:
    kinds = tuple(KINDS)
    assert draw_schedule(7, 60, kinds) == draw_schedule(7, 60, kinds)
    assert draw_schedule(7, 60, kinds) != draw_schedule(8, 60, kinds)


def test_long_schedule_covers_every_process_and_fault_within_its_time() -> None:
    schedule = draw_schedule(1, 1800, tuple(KINDS))
    assert {fault.kind for fault in schedule} == set(KINDS)
    assert {fault.target for fault in schedule if fault.kind == "kill"} == {*SERVICES, *SERVERS}
    assert all(fault.at_s + fault.lasts_s <= 1800 for fault in schedule)
