"""Rules not fired and why: exit-api's explanation of a trade in sentences and rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.console.api_client import Json
from services.console.wording import DECISIONS, NONE, clock_time, duration, facts, money, words
from shared.wording import plural


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule of a plan.

    Attributes
    ----------
    distance:
        How far the last price must still move, with its share of the price.
    why:
        One sentence: why the rule has not fired.
    """

    name: str
    level: str
    distance: str
    why: str
    is_held: bool


def rule_rows(found: Json, intents: Sequence[Json] = ()) -> list[RuleRow]:
    """Return the rules of an explanation, highest rank first; `intents` are the exits of the trade."""
    last = None if found["last_tick"] is None else Decimal(found["last_tick"]["price"])
    return [
        RuleRow(
            _name(rule),
            money(rule["level"]),
            _distance(rule, last),
            _fired(rule, intents) or _why(rule),
            rule["held_by"] is not None,
        )
        for rule in found["rules"]
    ]


def last_price(found: Json | None) -> str | None:
    """Return the last price of an explanation; None if there is none."""
    tick = None if found is None else found["last_tick"]
    return None if tick is None else str(tick["price"])


def holds(found: Json, intents: Sequence[Json]) -> list[str]:
    """Return the reasons holding the exits of a trade back or concerning all its rules, one sentence each."""
    return [*_market(found), *_gates(intents), *_waiting(found)]


def _name(rule: Json) -> str:
    leg = "" if rule["leg"] is None else f", leg {rule['leg']}"
    return f"{words(rule['exit_reason'])}{leg}"


def _distance(rule: Json, last: Decimal | None) -> str:
    if rule["distance"] is None or not last:
        return NONE
    left = Decimal(rule["distance"])
    return "reached" if left <= 0 else f"{money(left)} ({left / last:.2%})"


def _fired(rule: Json, intents: Sequence[Json]) -> str:
    """Return what became of the rule's own live exit; empty if it has none."""
    own = (rule["exit_reason"], rule["leg"])
    for intent in intents:
        if (intent["exit_reason"], intent.get("leg")) == own and intent["ended_at"] is None:
            return f"It fired at {clock_time(intent['created_at'])}; its exit is {words(intent['status']).lower()}."
    return ""


def _why(rule: Json) -> str:
    if rule["held_by"] == "intent":
        return "An exit of this rank or a higher one is in progress or filled."
    if rule["held_by"] is not None:
        until = rule["cooldown_until"]
        end = f"until {clock_time(until)}" if until else "without an end"
        return f"{words(rule['held_by'])} {end}, after exit {rule['last_episode_id']} of the rule."
    return " ".join(_conditions(rule)) or "Fires with the next tick."


def _conditions(rule: Json) -> Iterator[str]:
    """Yield the conditions of an armed rule."""
    distance, bricks = rule["distance"], rule["bricks"]
    if rule["reached"] is not None and distance is None:
        yield "No tick of the symbol has arrived."
    elif distance is not None and Decimal(distance) > 0:
        move = "rise" if rule["reached"] == "at or above" else "fall"
        end = f"{money(rule['arms_at'])} first, to arm the rule" if rule["arms_at"] else money(rule["level"])
        yield f"The price must {move} to {end}."
    if bricks is not None and bricks["counted"] < bricks["needed"]:
        yield f"It needs {plural(bricks['needed'], 'brick')} of {money(bricks['size'])}; {bricks['counted']} so far."
    if rule["due_in_ms"] is not None and rule["due_in_ms"] > 0:
        yield f"Due in {duration(rule['due_in_ms'] / 1000)}, at {clock_time(rule['deadline'])}."


def _market(found: Json) -> Iterator[str]:
    tick = found["last_tick"]
    if tick is None:
        yield f"No tick of {found['symbol']} has arrived, so no rule was evaluated."
    else:
        yield f"The last tick was {money(tick['price'])}, {duration(tick['age_ms'] / 1000)} ago."
    if found["market_phase"] not in (None, "OPEN"):
        yield f"The exchange is in phase {words(found['market_phase']).lower()}: exits wait until it is open."


def _gates(intents: Sequence[Json]) -> Iterator[str]:
    for intent in intents:
        held = [gate for gate in intent["gates"] if gate["verdict"] != "PASS"]
        if held and DECISIONS.get(intent["status"]) == "withdraw":
            causes = "; ".join(_gate(gate) for gate in held)
            yield f"The {words(intent['exit_reason']).lower()} exit fired and is held by {causes}."


def _gate(gate: Json) -> str:
    detail = facts(gate["detail"])
    return words(gate["gate"]).lower() + (f" ({detail})" if detail else "")


def _waiting(found: Json) -> Iterator[str]:
    for work in found["waiting"]:
        since, again = clock_time(work["waits_since"]), clock_time(work["retry_at"])
        name = "closing" if work["work"] == "CLOSE" else f"{words(work['work']).lower()} exit"
        yield f"The {name} waits since {since}: {work['why']}. Next try at {again}."
