"""The manual exit of a trade in sentences: its effects, and why it is not possible."""

from __future__ import annotations

from collections.abc import Sequence

from services.console.api_client import Json
from services.console.wording import closing_verb, words


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
