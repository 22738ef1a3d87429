"""The steps of a trade from its opening to its closure, one sentence a step, with the time each step took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from services.console.api_client import Json
from services.console.steps import Step
from services.console.stop_story import stop_steps
from services.console.wording import closing_verb, instant, money, words
from shared.wording import plural


def story(trade: Json, timeline: Sequence[Json], intents: Sequence[Json], stops: Sequence[Json] = ()) -> list[Step]:
    """Return all steps in the order of cause and effect; fills and closures come from trade management's timeline.

    `stops` are the trade's protective stops.

    Brokers tell times in whole seconds, so a fill may seem to come before its order: the steps of one exit keep their
    order, and exits are merged by time.
    """
    # A corporate action changes the trade's quantity and price, but not those of its opening.
    entry = next((item for item in timeline if item["kind"] == "OPENED"), trade | {"price": trade["entry_price"]})
    opened = Step(
        instant(trade["entered_at"]),
        f"Opened {trade['direction'].lower()}: {entry['quantity']:,} {trade['symbol']} "
        f"at {money(entry['price'])} on account {trade['user_broker_id']}.",
        "info",
    )
    chains: dict[str, list[Step]] = {each["intent_id"]: _with_waits(list(_before_fills(each))) for each in intents}
    for item in timeline:
        if item["kind"] == "FILL":
            chains.setdefault(item["exit_intent_id"], []).append(_fill(item))
    for intent in intents:
        chains[intent["intent_id"]] += _ends(intent)
    for item in timeline:
        if item["kind"] == "CLOSURE":
            chains.setdefault(item["exit_intent_id"], []).append(_closure(item))
    chains |= {each["stop_id"]: stop_steps(each) for each in stops}
    placed = [pair for chain in chains.values() for pair in _placed(chain)]
    placed += [(step.at, step) for step in (opened, *map(_adjustment, timeline)) if step is not None]
    return [step for _, step in sorted(placed, key=lambda pair: pair[0])]


def with_detections(intents: Sequence[Json], found: Json | None) -> list[Json]:
    """Return exits with the times of their detection that an explanation has."""
    entries = [] if found is None else found["timeline"]
    times = {each["detail"]["signal_id"]: each["at"] for each in entries if each["step"] == "DETECTED"}
    return [
        {**intent, "detected_at": times[intent["signal_id"]]} if intent["signal_id"] in times else intent
        for intent in intents
    ]


def _placed(chain: Sequence[Step]) -> Iterator[tuple[datetime, Step]]:
    """Yield each step with its place in time: never before the step that caused it."""
    place: datetime | None = None
    for step in chain:
        place = step.at if place is None else max(place, step.at)
        yield place, step


def _with_waits(steps: list[Step]) -> list[Step]:
    """Return the steps, each with the time of the one before it."""
    return [*steps[:1], *(replace(step, since=last.at) for last, step in pairwise(steps))]


def _before_fills(intent: Json) -> Iterator[Step]:
    reason = words(intent["exit_reason"])
    if "detected_at" in intent:
        yield Step(instant(intent["detected_at"]), _detection(intent, reason), "info")
    yield Step(instant(intent["created_at"]), _decision(intent, reason), "info")
    yield from _releases(intent)
    if intent["submitted_at"] is not None:
        sentence = f"An order for {intent['quantity']:,} was handed to {intent['user_broker_id']}."
        yield Step(instant(intent["submitted_at"]), sentence, "info")
    if intent["placed_at"] is not None:
        yield Step(instant(intent["placed_at"]), f"The broker has the order{_order_id(intent)}.", "info")


def _ends(intent: Json) -> Iterator[Step]:
    before = intent["placed_at"] or intent["submitted_at"]
    since = None if before is None else instant(before)
    if intent["filled_at"] is not None:
        filled = f"{intent['filled_quantity']:,} at {money(intent['average_price'])} on average"
        yield Step(instant(intent["filled_at"]), f"exit-orders recorded {filled}.", "good", since)
    elif intent["ended_at"] is not None:
        yield Step(instant(intent["ended_at"]), _end(intent, words(intent["exit_reason"])), "bad", since)


def _detection(intent: Json, reason: str) -> str:
    if intent["detected_price"] is None:
        return f"{reason} exit requested."
    level = f" and reached the level {money(intent['exit_level'])}" if intent["exit_level"] else ""
    return f"A tick of {money(intent['detected_price'])} arrived{level}: {reason.lower()}."


def _decision(intent: Json, reason: str) -> str:
    held = [words(gate["gate"]).lower() for gate in intent["gates"] if gate["verdict"] != "PASS"]
    if intent["status"] == "REJECTED":
        return f"{reason} exit written and rejected by {', '.join(held) or 'a gate'}."
    if held and intent["submitted_at"] is None:
        return f"{reason} exit written; it waits for {', '.join(held)}."
    waited = [words(gate["gate"]).lower() for gate in intent["gates"] if gate.get("held")]
    if waited:
        return f"{reason} exit written; it waited for {', '.join(waited)}."
    return f"{reason} exit written; its {plural(len(intent['gates']), 'gate')} passed."


def _releases(intent: Json) -> Iterator[Step]:
    """Return a step for each moment in which gates let the exit go on."""
    ended: dict[str, list[str]] = {}
    for gate in intent["gates"]:
        if gate.get("held"):
            ended.setdefault(gate["held"]["until"], []).append(words(gate["gate"]))
    for until, gates in ended.items():
        yield Step(instant(until), f"{', '.join(gates)} let the exit go on.", "info")


def _order_id(intent: Json) -> str:
    return f" as {intent['broker_order_id']}" if intent["broker_order_id"] else ""


def _end(intent: Json, reason: str) -> str:
    why = intent["cancel_reason"] or intent["error_code"]
    message = f": {intent['error_message']}" if intent["error_message"] else ""
    cause = f" ({words(why)}{message})" if why else ""
    return f"{reason} exit ended as {intent['status'].lower()}{cause}."


def _fill(item: Json) -> Step:
    late = " after the trade was closed" if item["late"] else ""
    sentence = f"The broker filled {item['quantity']:,} at {money(item['price'])}{late}."
    return Step(instant(item["at"]), sentence, "bad" if item["late"] else "good")


def _adjustment(item: Json) -> Step | None:
    if item["kind"] != "ADJUSTED":
        return None
    what = f"{words(item['action'])}{' reversed' if item['is_reversal'] else ''}"
    position = f"{item['open_quantity']:,} {item['symbol']} open at {money(item['price'])}"
    return Step(instant(item["at"]), f"{what}: {position}.", "info")


def _closure(item: Json) -> Step:
    whole = "Trade closed" if item["final"] else f"{item['quantity']:,} closed"
    at, gain = f"{whole} at {money(item['price'])}", item["net_pnl"]
    if gain is None:
        gain = item["gross_pnl"]
        sentence = f"{at}: gross {money(gain, sign=True)}; its charges are unknown."
    else:
        sentence = f"{at}: net {money(gain, sign=True)} after charges of {money(item['charges'])}."
    return Step(instant(item["at"]), sentence, "bad" if gain.startswith("-") else "good")


def levels_of(plan: Json) -> list[tuple[str, str]]:
    """Return the fixed levels of an exit plan, each leg of its targets too: name and price."""
    legs = [(f"Target {number}", leg["price"]) for number, leg in enumerate(plan.get("targets") or (), 1)]
    fixed = [(words(name), plan[name]) for name in ("target", "stop_loss") if isinstance(plan.get(name), str)]
    return fixed + legs


def nearest_level(trade: Json, price: str) -> str:
    """Return the fixed level of a trade nearest to a price, with its distance; empty if it has none."""
    now = Decimal(price)
    levels = sorted(levels_of(trade["exit_plan"]), key=lambda level: abs(Decimal(level[1]) - now))
    if not levels:
        return ""
    name, level = levels[0]
    gain = (now - Decimal(level)) * (1 if trade["direction"] == "LONG" else -1)
    is_past = gain >= 0 if name.startswith("Target") else gain <= 0
    return f"{money(abs(gain))} ({abs(gain) / now:.2%}) {'past' if is_past else 'to'} {name.lower()}"


def consequences(trade: Json, intents: Sequence[Json], rollout: Json | None, broker: Json | None) -> list[str]:
    """Return the effects of a manual exit of the trade, one sentence each."""
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
