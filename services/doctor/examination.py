"""Collect the facts of a running system, one question at a time; a missing answer is a symptom too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus

from confluent_kafka import KafkaException

from deploy.compose.health_probe import SILENT, problem_of
from services.cli.support.api_client import ApiClient, Refused
from services.cli.support.connection import Target
from services.doctor import rules
from services.doctor.asking import side_by_side
from services.doctor.consumer_lag import consumer_lag
from services.doctor.symptom import Symptom, problem
from shared.clock import SystemClock, trading_day
from shared.contracts.topics import ALL_TOPICS, TopicNames
from shared.errors import Unavailable
from shared.kafka.clients import open_admin
from shared.settings import Settings

EXIT_API, TRADE_API = "exit-api", "trade-api"
KAFKA_LIMIT_S = 10
REJECTED = {"status": "REJECTED", "order": "newest", "gates": "held"}
MOST_EXITS = 200
"""Most exits under way to examine, oldest first."""


def examine(target: Target, processes: Mapping[str, str]) -> list[Symptom]:
    """Return every symptom of the system once; `processes` has the root URL of each process by name."""
    problems = dict(zip(processes, side_by_side(problem_of, processes.values()), strict=True))
    return [
        *rules.unready_processes(problems),
        *rules.lagging_consumers(consumer_lag(processes)),
        *_ask_kafka(target.settings()),
        *_ask_exit_api(target, problems.get(EXIT_API)),
        *_ask_trade_api(target, problems.get(TRADE_API)),
    ]


def _ask_exit_api(target: Target, known: str | None) -> Iterator[Symptom]:
    now = SystemClock().now()
    with ApiClient(target.exit_api, target.token) as api:
        yield from _ask(
            EXIT_API,
            known,
            lambda: rules.controls(api.get("/kill-switch"), api.get("/rollout")),
            lambda: rules.accounts(api.get("/brokers")["items"]),
            lambda: rules.held_exits(api.items("/exits/pending", limit=MOST_EXITS)),
            lambda: rules.rejected_exits(api.items("/exits", MOST_EXITS, **REJECTED), now),
            lambda: rules.missing_stops(api.items("/protective-stops/missing", MOST_EXITS)),
            lambda: rules.calendars(api.get("/calendars")["items"], trading_day(now)),
            lambda: rules.instruments(api.get("/instruments/loads")["items"], now),
            lambda: rules.outbox("exit", api.get("/outbox")["totals"]),
        )


def _ask_trade_api(target: Target, known: str | None) -> Iterator[Symptom]:
    with ApiClient(target.trade_api, target.token) as api:
        yield from _ask(TRADE_API, known, lambda: rules.outbox("trade", api.get("/outbox")["totals"]))


def _ask(name: str, known: str | None, *questions: Callable[[], Iterator[Symptom]]) -> Iterator[Symptom]:
    """Yield the symptoms of each question; a silent API is asked nothing more.

    `known` is its problem of readiness: it is told already, so the API's silence is not told again.
    """
    if known is not None and known.startswith(SILENT):
        return
    for question in questions:
        try:
            yield from list(question())
        except Unavailable as error:
            if known is None:
                yield problem(name, str(error), rules.remedy_of(str(error)))
            return
        except Refused as error:
            yield problem(name, error.found, _remedy_of_refusal(name, error))
            return


def _remedy_of_refusal(name: str, error: Refused) -> str:
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "set EXITFLOW_PUBLIC_TOKEN to a token of scope read: exitflow tokens create"
    return f"look at the log of {name}; is it of this version? exitflow --version"


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
