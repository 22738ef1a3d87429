"""The steps of a trade from its opening to its closure, one sentence a step, with the time each step took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.console.api_client import Json
from services.console.wording import closing_verb, duration, instant, money, plural, words


@dataclass(frozen=True, slots=True)
class Step:
    """A step; `took_s` is the time since the step before it of the same exit, None where it says nothing."""

    at: datetime
    sentence: str
    tone: str = "quiet"
    since: datetime | None = None
    intent_id: str = ""

    @property
    def took(self) -> str:
        """Return the time since the step before, in words; empty if there was none."""
        return "" if self.since is None else duration(max(0.0, (self.at - self.since).total_seconds()))


def story(trade: Json, timeline: Sequence[Json], intents: Sequence[Json]) -> list[Step]:
    """Return all steps in order of time; fills and closures come from trade management's timeline."""
    opened = Step(
        instant(trade["entered_at"]),
        f"Opened {trade['direction'].lower()}: {trade['quantity']:,} {trade['symbol']} "
        f"at {money(trade['entry_price'])} on account {trade['user_broker_id']}.",
        "info",
    )
    steps = [opened]
    for intent in intents:
        steps += _chained(list(_of_intent(intent)))
    steps += _of_timeline(timeline)
    return sorted(steps, key=lambda step: step.at)


def _chained(steps: list[Step]) -> list[Step]:
    """Return the steps, each with the time of the one before it."""
    first, *rest = sorted(steps, key=lambda step: step.at)
    before = [first, *rest][: len(rest)]
    return [first, *(replace(step, since=last.at) for last, step in zip(before, rest, strict=True))]


def _of_intent(intent: Json) -> Iterator[Step]:
    reason, intent_id = words(intent["exit_reason"]), intent["intent_id"]
    if "detected_at" in intent:
        yield Step(instant(intent["detected_at"]), _detection(intent, reason), "info", intent_id=intent_id)
    yield Step(instant(intent["created_at"]), _decision(intent, reason), "info", intent_id=intent_id)
    filled = f"{intent['filled_quantity']:,} at {money(intent['average_price'])} on average"
    times = (
        (
            "submitted_at",
            f"An order for {intent['quantity']:,} was handed to {intent['user_broker_id']}.",
            "info",
        ),
        ("placed_at", f"The broker has the order{_order_id(intent)}.", "info"),
        (
            "filled_at",
            f"exit-orders recorded {filled}.",
            "good",
        ),
    )
    for name, sentence, tone in times:
        if intent[name] is not None:
            yield Step(instant(intent[name]), sentence, tone, intent_id=intent_id)
    if intent["ended_at"] is not None and intent["filled_at"] is None:
        yield Step(instant(intent["ended_at"]), _end(intent, reason), "bad", intent_id=intent_id)


def _detection(intent: Json, reason: str) -> str:
    if intent["detected_price"] is None:
        return f"{reason} exit requested."
    level = f", which reaches the level {money(intent['exit_level'])}" if intent["exit_level"] else ""
    return f"A tick of {money(intent['detected_price'])} arrived{level}: {reason.lower()}."


def _decision(intent: Json, reason: str) -> str:
    held = [words(gate["gate"]) for gate in intent["gates"] if gate["verdict"] != "PASS"]
    if intent["status"] == "REJECTED":
        return f"{reason} exit written and rejected by {', '.join(held) or 'a gate'}."
    if held and intent["submitted_at"] is None:
        return f"{reason} exit written; it waits for {', '.join(held)}."
    return f"{reason} exit written; its {plural(len(intent['gates']), 'gate')} passed."


def _order_id(intent: Json) -> str:
    return f" as {intent['broker_order_id']}" if intent["broker_order_id"] else ""


def _end(intent: Json, reason: str) -> str:
    why = intent["cancel_reason"] or intent["error_code"]
    message = f": {intent['error_message']}" if intent["error_message"] else ""
    cause = f" ({words(why)}{message})" if why else ""
    return f"{reason} exit ended as {intent['status'].lower()}{cause}."


def _of_timeline(timeline: Sequence[Json]) -> Iterator[Step]:
    last: datetime | None = None
    for item in timeline:
        at = instant(item["at"])
        if item["kind"] == "FILL":
            late = " after the trade was closed" if item["late"] else ""
            sentence = f"The broker filled {item['quantity']:,} at {money(item['price'])}{late}."
            yield Step(at, sentence, "bad" if item["late"] else "good", intent_id=item["exit_intent_id"])
        elif item["kind"] == "CLOSURE":
            whole = "Trade closed" if item["final"] else f"{item['quantity']:,} closed"
            sentence = (
                f"{whole} at {money(item['price'])}: net {money(item['net_pnl'], sign=True)} "
                f"after charges of {money(item['charges'])}."
            )
            tone = "good" if not item["net_pnl"].startswith("-") else "bad"
            yield Step(at, sentence, tone, since=last, intent_id=item["exit_intent_id"])
        last = at


def levels_of(plan: Json) -> list[tuple[str, str]]:
    """Return the fixed levels of an exit plan: name and price."""
    return [(words(name), plan[name]) for name in ("target", "stop_loss") if isinstance(plan.get(name), str)]


def consequences(trade: Json, intents: Sequence[Json], rollout: Json | None, broker: Json | None) -> list[str]:
    """Return what a manual exit of the trade does, one sentence each."""
    sentences = [
        f"{closing_verb(trade['direction'])} {trade['open_quantity']:,} {trade['symbol']} "
        f"({trade['product_type']}) on account {trade['user_broker_id']}.",
        "The kill switch does not hold it back.",
    ]
    waiting = [each for each in intents if each["status"] in ("PENDING", "APPROVED")]
    sentences += [f"Replaces the waiting {words(each['exit_reason']).lower()} exit." for each in waiting]
    if rollout is not None and rollout["mode"] in ("off", "dark"):
        sentences.append(f"The rollout is {rollout['mode']}: the request is refused, because nothing is executed.")
    if broker is not None and broker["status"] != "CONNECTED":
        sentences.append(f"Account {broker['user_broker_id']} is disconnected: the exit waits until it is connected.")
    return sentences


def obstacle(trade: Json, intents: Sequence[Json]) -> str:
    """Return why the trade cannot be exited now; empty if it can."""
    if trade["status"] != "OPEN":
        return "The trade is closed."
    sent = [each for each in intents if each["status"] in ("SUBMITTING", "UNKNOWN", "PLACED", "PARTIALLY_FILLED")]
    if sent:
        one = sent[0]
        return f"A {words(one['exit_reason']).lower()} exit is already at the broker ({words(one['status']).lower()})."
    return ""
