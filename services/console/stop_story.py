"""The protective stops of trades in sentences: the past and the present state of each stop order."""

from __future__ import annotations

from collections.abc import Iterator

from services.console.api_client import Json
from services.console.steps import Step
from services.console.wording import instant, money, words

ENDS = {
    "EXIT": "The protective stop was cancelled: another exit had to be sent.",
    "TRADE_CLOSED": "The protective stop was cancelled: nothing of the trade was left to protect.",
    "PLAN_CHANGED": "The protective stop was cancelled: the plan or the symbol changed.",
    "RENEWED": "The protective stop was cancelled after many changes of its order; another takes its place.",
    "BY_BROKER": "The protective stop was cancelled at the broker, not by this system.",
    "DAY_ENDED": "The protective stop ended with the trading day.",
    "NEVER_PLACED": "The protective stop failed: the order never reached the broker",
    "REJECTED_BY_BROKER": "The protective stop failed: the broker refused the order",
    "NOTHING_LEFT": "The protective stop was triggered when nothing of the trade was left. Check the position.",
}
"""Sentences by `end_reason`; those of failures go on with the broker's message."""


def stop_steps(stop: Json) -> list[Step]:
    """Return the steps of one stop order, in their order."""
    return list(_steps(stop))


def _steps(stop: Json) -> Iterator[Step]:
    terms = f"{stop['quantity']:,} at {money(stop['trigger_price'])}"
    wanted_at = instant(stop["created_at"])
    if stop["submitted_at"] is None:
        if stop["ended_at"] is None:
            yield Step(wanted_at, f"A protective stop for {terms} is to be placed{_why(stop)}.", "warn")
        return
    submitted_at = instant(stop["submitted_at"])
    first_terms = "" if stop["changes"] else f" for {terms}"  # those of before a change are not kept
    yield Step(submitted_at, f"A stop order{first_terms} was handed to {stop['user_broker_id']}.", "info", wanted_at)
    if stop["armed_at"] is not None:
        order = f" as {stop['broker_order_id']}" if stop["broker_order_id"] else ""
        holds = "holds the changed" if stop["changes"] else "holds the"
        since = None if stop["changes"] else submitted_at
        yield Step(instant(stop["armed_at"]), f"The broker {holds} stop order for {terms}{order}.", "good", since)
    if stop["ended_at"] is not None:
        yield Step(instant(stop["ended_at"]), _end(stop), "bad" if stop["status"] == "FAILED" else "info")


def _why(stop: Json) -> str:
    return f"; it waits: {stop['error_message']}" if stop["error_message"] else ""


def _end(stop: Json) -> str:
    if stop["status"] == "TRIGGERED" and stop["end_reason"] is None:
        return f"The market reached {money(stop['trigger_price'])}: the stop order is the exit."
    reason = stop["end_reason"] or stop["status"]
    sentence = ENDS.get(reason, f"The protective stop ended ({words(reason)}).")
    if sentence.endswith("."):
        return sentence
    return f"{sentence}: {stop['error_message']}." if stop["error_message"] else f"{sentence}."
