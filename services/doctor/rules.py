"""From facts about a system to symptoms. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from services.doctor.symptom import Symptom, note, problem
from shared.contracts.topics import ALL_TOPICS, MARKET_TICKS, TRADES

Json = Mapping[str, Any]

OLD_EXIT_MS: Final = 60_000
"""An exit that is under way for longer has something that holds it back."""
OLD_BACKLOG_S: Final = 30
"""Events that wait for longer are not only a burst."""

READINESS_ACTIONS: Final = (
    ("schema", "exitflow migrate up"),
    ("database", "check PostgreSQL and the network; the process recovers by itself"),
    ("access token", "put a new access token into EXITFLOW_BROKER_CREDENTIALS and restart exit-orders"),
    ("another server", "exitflow outbox rebase --dry-run"),
    ("gaps", "exitflow gaps list"),
    ("waiting", "end the transaction that holds the row; see waiting_work in /metrics"),
    ("kafka", "check Kafka and its topics; the runbook's table of topics has each message"),
    ("does not answer", "look at its log; start it again if it ended"),
)
"""Words of a readiness problem and what helps; the first that fits counts."""

STATUS_ACTIONS: Final = {
    "PENDING": "exitflow exits show ID: a gate defers it",
    "APPROVED": "is exit-orders ready? is the account connected?",
    "UNKNOWN": "compare with the broker's order book by the tag; exit-orders keeps asking",
    "PLACED": "the broker works on the order; it is cancelled and tried again by itself",
    "PARTIALLY_FILLED": "the broker works on the order",
    "SUBMITTING": "exit-orders is sending; if it ended meanwhile, another copy takes over",
}


def unready_processes(problems: Mapping[str, str | None]) -> Iterator[Symptom]:
    """Yield a problem for each process that is not ready; `problems` has None for a ready one."""
    for name, found in problems.items():
        if found is not None:
            action = next((action for word, action in READINESS_ACTIONS if word in found), "exitflow status; its log")
            yield problem(name, found, action)


def held_exits(intents: Iterable[Json]) -> Iterator[Symptom]:
    """Yield each exit that has been under way for too long, or whose outcome is unknown."""
    for intent in intents:
        if intent["age_ms"] < OLD_EXIT_MS and intent["status"] != "UNKNOWN":
            continue
        error = f", {intent['error_code']}" if intent.get("error_code") else ""
        deferred = [gate["gate"] for gate in intent.get("gates", ()) if gate["verdict"] == "DEFER"]
        gates = f", held by {', '.join(deferred)}" if deferred else ""
        finding = f"{intent['exit_reason']} of {intent['symbol']} is {intent['status']} "
        finding += f"for {intent['age_ms'] / 1000:.0f} s{error}{gates}"
        yield problem(f"exit {intent['intent_id']}", finding, STATUS_ACTIONS[intent["status"]])


def controls(kill_switch: Json, rollout: Json) -> Iterator[Symptom]:
    """Yield what operators have switched off."""
    if kill_switch["mode"] != "OFF":
        told = f"{kill_switch['mode']}: {kill_switch['reason']}"
        yield note("kill switch", told, "exitflow exits kill-switch OFF --reason …")
    if rollout["mode"] != "full":
        yield note("rollout", f"{rollout['mode']}: {rollout['reason']}", "exitflow exits rollout full --reason …")


def disconnected_accounts(brokers: Iterable[Json]) -> Iterator[Symptom]:
    """Yield each account that takes no orders."""
    for broker in brokers:
        if broker["status"] != "CONNECTED":
            yield problem(f"account {broker['user_broker_id']}", "disconnected: its exits wait", "PUT /brokers/ID")


def outbox(name: str, totals: Json) -> Iterator[Symptom]:
    """Yield what keeps events of one outbox from Kafka."""
    option = f"--outbox {name}"
    if totals["owned"] + totals["paused"] < totals["shards"]:
        free = totals["shards"] - totals["owned"] - totals["paused"]
        yield problem(f"outbox {name}", f"{free} shards have no relay", "start a relay: exitflow run relay")
    if totals["paused"]:
        yield note(f"outbox {name}", f"{totals['paused']} shards are paused", f"exitflow outbox resume N {option}")
    if totals["parked"]:
        found = f"{totals['parked']} events are parked: Kafka refused them"
        yield problem(f"outbox {name}", found, f"exitflow outbox parked {option}")
    if (totals["oldest_age_s"] or 0) > OLD_BACKLOG_S:
        found = f"an event has waited for {totals['oldest_age_s']:.0f} s, {totals['backlog']} wait"
        yield problem(f"outbox {name}", found, f"exitflow outbox status {option}; is the relay ready?")


def topics(counts: Mapping[str, int]) -> Iterator[Symptom]:
    """Yield topics that are missing, or whose partitions do not fit; `counts` by name without prefix."""
    for name in ALL_TOPICS:
        if name not in counts:
            yield problem(f"topic {name}", "does not exist", "exitflow provision, or exitflow topics create")
    ticks, trades = counts.get(MARKET_TICKS), counts.get(TRADES)
    if ticks and trades and ticks != trades:
        found = f"{MARKET_TICKS} has {ticks} partitions, {TRADES} has {trades}: exits are not judged"
        yield problem(
            "topics", found, f"exitflow topics grow {MARKET_TICKS} {TRADES} --partitions {max(ticks, trades)}"
        )
