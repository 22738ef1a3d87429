"""From facts about a system to symptoms. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from services.doctor.symptom import Symptom, note, problem
from shared.contracts.topics import ALL_TOPICS, MARKET_TICKS, TRADES
from shared.wording import plural

Json = Mapping[str, Any]

OLD_EXIT_MS: Final = 60_000
"""An exit under way for longer is held back by something."""
RECENT: Final = timedelta(hours=1)
"""Time in which a refused exit is a present problem; its reason fires again each minute."""
OF_ORDER: Final = frozenset({"DIRECTION", "FREEZE_QTY", "LOT", "PRODUCT_MATCH", "TICK_SIZE"})
"""Gates about the order itself: no later price or state of the market lets it pass."""
OLD_BACKLOG_S: Final = 30
"""Events waiting for longer are not only a burst."""

SMALL_LAG, LARGE_LAG = 100, 10_000
"""Records: fewer than the first are ordinary; from the second on a consumer needs help."""
CALENDAR_NOTICE: Final = timedelta(days=14)
OLD_INSTRUMENTS: Final = timedelta(days=4)
"""Longer than a weekend with a holiday."""
FILE: Final = "file"
"""Source of instruments loaded by an operator at will."""
LOAD_CALENDAR: Final = "exitflow calendar load FILE"
LOAD_INSTRUMENTS: Final = "exitflow instruments load --from-broker"
END_TRANSACTION: Final = "end the transaction with the lock on the row; the runbook has the query to find it"
RENEW_ACCESS: Final = "put a new access token into EXITFLOW_BROKER_CREDENTIALS and restart exit-orders"

READINESS_ACTIONS: Final = (
    ("a lock is held", END_TRANSACTION),
    ("schema", "exitflow migrate up"),
    ("database", "check PostgreSQL and the network; the process recovers by itself"),
    ("access token", RENEW_ACCESS),
    ("another server", "exitflow outbox rebase --dry-run"),
    ("gaps", "exitflow gaps list"),
    ("kafka", "check Kafka and its topics; the runbook's table of topics has each message"),
    ("waiting:", END_TRANSACTION),
    ("brokers:", "check the broker and the network; exits of the account wait, stops too"),
    ("does not answer", "look at its log; start it again if it ended"),
)
"""Words of a readiness problem, in small letters, and the remedy; the first fit counts."""

STATUS_ACTIONS: Final = {
    "PENDING": "exitflow exits show ID: a gate defers it",
    "APPROVED": "is exit-orders ready? is the account connected?",
    "UNKNOWN": "compare with the broker's order book by the tag; exit-orders keeps asking",
    "PLACED": "the broker works on the order; it is cancelled and tried again by itself",
    "PARTIALLY_FILLED": "the broker works on the order",
    "SUBMITTING": "exit-orders is sending; if it ended meanwhile, another copy takes over",
}


def unready_processes(problems: Mapping[str, str | None]) -> Iterator[Symptom]:
    """Yield a problem for each process not ready; `problems` has None for a ready one."""
    for name, found in problems.items():
        if found is not None:
            yield problem(name, found, remedy_of(found))


def remedy_of(found: str) -> str:
    """Return the next step for a process with this problem of readiness."""
    return next((action for word, action in READINESS_ACTIONS if word in found.casefold()), "exitflow status; its log")


def held_exits(intents: Iterable[Json]) -> Iterator[Symptom]:
    """Yield each exit under way for too long, or with an unknown outcome."""
    for intent in intents:
        if intent["age_ms"] < OLD_EXIT_MS and intent["status"] != "UNKNOWN":
            continue
        error = f", {intent['error_code']}" if intent.get("error_code") else ""
        deferred = [gate["gate"] for gate in intent.get("gates", ()) if gate["verdict"] == "DEFER"]
        gates = f", held by {', '.join(deferred)}" if deferred else ""
        finding = f"{intent['exit_reason']} of {intent['symbol']} is {intent['status']} "
        finding += f"for {intent['age_ms'] / 1000:.0f} s{error}{gates}"
        yield problem(f"exit {intent['intent_id']}", finding, STATUS_ACTIONS[intent["status"]])


def rejected_exits(intents: Iterable[Json], now: datetime) -> Iterator[Symptom]:
    """Yield each trade with a recent exit refused for the order itself: every later one is refused too."""
    told = set()
    for intent in intents:
        gates = [each["gate"] for each in intent["gates"] if each["verdict"] == "REJECT" and each["gate"] in OF_ORDER]
        created_at = datetime.fromisoformat(intent["created_at"])
        if gates and now - created_at < RECENT and intent["trade_id"] not in told:
            told.add(intent["trade_id"])
            finding = f"{intent['exit_reason']} of {intent['symbol']} was refused by {', '.join(gates)}"
            action = f"exit it at the broker by hand; exitflow exits show {intent['intent_id']}"
            yield problem(f"trade {intent['trade_id']}", finding, action)


def controls(kill_switch: Json, rollout: Json) -> Iterator[Symptom]:
    """Yield everything switched off by operators."""
    if kill_switch["mode"] != "OFF":
        told = f"{kill_switch['mode']}: {kill_switch['reason']}"
        yield note("kill switch", told, "exitflow exits kill-switch OFF --reason …")
    if rollout["mode"] != "full":
        yield note("rollout", f"{rollout['mode']}: {rollout['reason']}", "exitflow exits rollout full --reason …")


def accounts(brokers: Iterable[Json]) -> Iterator[Symptom]:
    """Yield each account without orders, because it is disconnected or its token is refused."""
    for broker in brokers:
        name, subject = broker["user_broker_id"], f"account {broker['user_broker_id']}"
        if broker["status"] != "CONNECTED":
            action = f"exitflow accounts connect {name} --connected --reason …"
            yield problem(subject, "disconnected: its exits wait", action)
        if broker["token_refused_at"] is not None:
            found = f"the broker refuses its access token since {broker['token_refused_at']}: its exits wait"
            yield problem(subject, found, RENEW_ACCESS)


def missing_stops(trades: Iterable[Json]) -> Iterator[Symptom]:
    """Yield each trade with a protective stop that failed, waits with an error, or was never written."""
    for trade in trades:
        stop = trade["stop"] or {"status": "not written", "error_message": "is exit-orders ready?"}
        if stop["error_message"] is not None:
            found = f"{trade['symbol']} has no protective stop: {stop['status']}, {stop['error_message']}"
            yield problem(f"trade {trade['trade_id']}", found, "exitflow exits stops --missing")


def lagging_consumers(lags: Mapping[str, Mapping[str, float]]) -> Iterator[Symptom]:
    """Yield each topic with a process behind on it; `lags` has records by topic by process."""
    for process, topics in lags.items():
        for topic, records in topics.items():
            found = f"{process} is {plural(int(records), 'record')} behind"
            if records >= LARGE_LAG:
                yield problem(f"topic {topic}", found, f"exitflow top: if the lag grows, start another {process}")
            elif records >= SMALL_LAG:
                yield note(f"topic {topic}", found, "exitflow top shows whether it catches up")


def calendars(stored: Iterable[Json], today: date) -> Iterator[Symptom]:
    """Yield each exchange with calendars about to end, or ended; without any, exits are sent at all hours."""
    last: dict[str, date] = {}
    for calendar in stored:
        ends = date.max if calendar["valid_to"] is None else date.fromisoformat(calendar["valid_to"])
        last[calendar["exchange"]] = max(ends, last.get(calendar["exchange"], date.min))
    if not last:
        yield note("calendars", "none is stored: exits are sent at all hours", LOAD_CALENDAR)
    for exchange, ends in sorted(last.items()):
        if ends < today:
            found = f"ended on {ends}: exits are sent at all hours"
            yield problem(f"calendar {exchange}", found, LOAD_CALENDAR)
        elif ends - today < CALENDAR_NOTICE:
            yield note(f"calendar {exchange}", f"ends on {ends}", LOAD_CALENDAR)


def instruments(loads: Iterable[Json], now: datetime) -> Iterator[Symptom]:
    """Yield each broker without instruments, or with old ones."""
    for load in loads:
        subject, loaded = f"instruments of {load['source']}", load["loaded_at"]
        if load["source"] == FILE:
            continue
        if load["error"] is not None:
            yield problem(subject, f"the last load failed: {load['error']}", LOAD_INSTRUMENTS)
        elif loaded is None:
            yield problem(subject, "were never loaded", LOAD_INSTRUMENTS)
        elif now - datetime.fromisoformat(loaded) > OLD_INSTRUMENTS:
            yield problem(subject, f"were loaded last at {loaded}", LOAD_INSTRUMENTS)


def outbox(name: str, totals: Json) -> Iterator[Symptom]:
    """Yield the obstacles between the events of one outbox and Kafka."""
    option = f"--outbox {name}"
    if totals["owned"] + totals["paused"] < totals["shards"]:
        free = totals["shards"] - totals["owned"] - totals["paused"]
        yield problem(f"outbox {name}", f"{plural(free, 'shard')} without a relay", "start a relay: exitflow run relay")
    if totals["paused"]:
        yield note(f"outbox {name}", plural(totals["paused"], "paused shard"), f"exitflow outbox resume N {option}")
    if totals["parked"]:
        found = f"{plural(totals['parked'], 'parked event')}, refused by Kafka"
        yield problem(f"outbox {name}", found, f"exitflow outbox parked {option}")
    if (totals["oldest_age_s"] or 0) > OLD_BACKLOG_S:
        found = f"an event has waited for {totals['oldest_age_s']:.0f} s, {totals['backlog']} wait"
        yield problem(f"outbox {name}", found, f"exitflow outbox status {option}; is the relay ready?")


def topics(counts: Mapping[str, int]) -> Iterator[Symptom]:
    """Yield missing topics, and those with unfit partitions; `counts` by name without prefix."""
    for name in ALL_TOPICS:
        if name not in counts:
            yield problem(f"topic {name}", "does not exist", "exitflow provision, or exitflow topics create")
    ticks, trades = counts.get(MARKET_TICKS), counts.get(TRADES)
    if ticks and trades and ticks != trades:
        found = f"{MARKET_TICKS} has {plural(ticks, 'partition')}, {TRADES} has {trades}: exits are not judged"
        yield problem(
            "topics", found, f"exitflow topics grow {MARKET_TICKS} {TRADES} --partitions {max(ticks, trades)}"
        )
