"""Clients' calls and their answers, and whether the system did exactly as answered (rule I0). Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Answer(Enum):
    """A client's knowledge of its call, after every retry under the same key."""

    OK = "ok"
    FAIL = "fail"
    INFO = "info"
    """No definite answer: the call may or may not have had its effect."""


@dataclass(frozen=True)
class Opened:
    """A call to open a trade; its quantity is unique, so the trade can be told even if no answer came."""

    quantity: int
    answer: Answer
    trade_id: str | None = None


@dataclass(frozen=True)
class Forced:
    """A call for a manual exit; at most one is made for a trade."""

    trade_id: str
    answer: Answer
    intent_id: str | None = None


def judge_opened(calls: Sequence[Opened], trades: Mapping[str, int]) -> list[str]:
    """Return a line for each call without its effect, or with another; `trades` is trade id → quantity."""
    by_quantity: dict[int, list[str]] = defaultdict(list)
    for trade_id, quantity in trades.items():
        by_quantity[quantity].append(trade_id)
    found = [line for call in calls for line in _wrong_trades(call, by_quantity[call.quantity])]
    asked = {call.quantity for call in calls}
    return found + [
        f"trade {trade_id} of {quantity} was never asked for"
        for trade_id, quantity in trades.items()
        if quantity not in asked
    ]


def _wrong_trades(call: Opened, made: Sequence[str]) -> Iterator[str]:
    name = f"the call for {call.quantity}, answered {call.answer.value}"
    if len(made) > 1:
        yield f"{name}, made {len(made)} trades: {', '.join(made)}"
    elif call.answer is Answer.OK and list(made) != [call.trade_id]:
        yield f"{name} with trade {call.trade_id}, made {', '.join(made) or 'none'}"
    elif call.answer is Answer.FAIL and made:
        yield f"{name}, made trade {made[0]}"


def judge_forced(calls: Sequence[Forced], manual: Mapping[str, Collection[str]]) -> list[str]:
    """Return a line for each manual exit without its intent, or with an intent nobody asked for.

    `manual` has, by trade id, the intents of reason MANUAL; an intent with an incomplete fill is followed by
    others of its reason, so there may be more than one.
    """
    found = []
    for call in calls:
        made = manual.get(call.trade_id, ())
        if call.answer is Answer.OK and call.intent_id not in made:
            found.append(f"the exit of trade {call.trade_id} was accepted as {call.intent_id}, which does not exist")
        elif call.answer is Answer.FAIL and made:
            found.append(f"the exit of trade {call.trade_id} was refused, and made {', '.join(made)}")
    asked = {call.trade_id for call in calls}
    return found + [
        f"trade {trade_id} has a manual exit nobody asked for" for trade_id in manual if trade_id not in asked
    ]
