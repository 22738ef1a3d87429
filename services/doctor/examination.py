"""Collect the facts of a running system, one question at a time; a missing answer is a symptom too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus

from confluent_kafka import KafkaException

from deploy.compose.health_probe import problem_of
from services.cli.support.api_client import ApiClient, Refused
from services.cli.support.connection import Target
from services.doctor import rules
from services.doctor.consumer_lag import consumer_lag
from services.doctor.symptom import Symptom, problem
from shared.clock import SystemClock, trading_day
from shared.contracts.topics import ALL_TOPICS, TopicNames
from shared.errors import Unavailable
from shared.kafka.clients import open_admin
from shared.settings import Settings

KAFKA_LIMIT_S = 10
MOST_EXITS = 200
"""Most exits under way to examine, oldest first."""


def examine(target: Target, processes: Mapping[str, str]) -> list[Symptom]:
    """Return every symptom of the system once; `processes` has the root URL of each process by name."""
    return list(dict.fromkeys(_examine(target, processes)))  # a stopped API fails every question with one symptom


def _examine(target: Target, processes: Mapping[str, str]) -> Iterator[Symptom]:
    now = SystemClock().now()
    yield from rules.unready_processes({name: problem_of(url) for name, url in processes.items()})
    yield from rules.lagging_consumers(consumer_lag(processes))
    yield from _ask_kafka(target.settings())
    with ApiClient(target.exit_api, target.token) as exits, ApiClient(target.trade_api, target.token) as trades:
        yield from _ask("exit-api", lambda: rules.controls(exits.get("/kill-switch"), exits.get("/rollout")))
        yield from _ask("exit-api", lambda: rules.accounts(exits.get("/brokers")["items"]))
        yield from _ask("exit-api", lambda: rules.held_exits(exits.items("/exits/pending", limit=MOST_EXITS)))
        yield from _ask("exit-api", lambda: rules.missing_stops(exits.items("/protective-stops/missing", MOST_EXITS)))
        yield from _ask("exit-api", lambda: rules.calendars(exits.get("/calendars")["items"], trading_day(now)))
        yield from _ask("exit-api", lambda: rules.instruments(exits.get("/instruments/loads")["items"], now))
        yield from _ask("exit-api", lambda: rules.outbox("exit", exits.get("/outbox")["totals"]))
        yield from _ask("trade-api", lambda: rules.outbox("trade", trades.get("/outbox")["totals"]))


def _ask(name: str, question: Callable[[], Iterator[Symptom]]) -> list[Symptom]:
    try:
        return list(question())
    except Unavailable as error:
        return [problem(name, str(error), "exitflow status; start it again if it ended")]
    except Refused as error:
        if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            action = "set EXITFLOW_PUBLIC_TOKEN to a token of scope read: exitflow tokens create"
        else:
            action = f"look at the log of {name}; is it of this version? exitflow --version"
        return [problem(name, str(error), action)]


def _ask_kafka(settings: Settings) -> list[Symptom]:
    names = TopicNames(settings.kafka_topic_prefix)
    try:
        found = open_admin(settings).list_topics(timeout=KAFKA_LIMIT_S).topics
    except KafkaException as error:
        return [problem("kafka", error.args[0].str(), "check whether Kafka runs at EXITFLOW_KAFKA_BOOTSTRAP_SERVERS")]
    on_cluster = {topic: names.on_cluster(topic) for topic in ALL_TOPICS}
    return list(
        rules.topics({topic: len(found[name].partitions) for topic, name in on_cluster.items() if name in found})
    )
