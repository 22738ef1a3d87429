"""All settings, typed.

Read from environment variables ``EXITFLOW_<NAME>``, or from files named ``exitflow_<name>`` in the directory
``EXITFLOW_SECRETS_DIR``. Unknown settings are rejected.
"""

from __future__ import annotations

import os
from datetime import time
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from pydantic import Field, HttpUrl, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.broker_hosts import DEFAULT_BROKER_HOSTS
from shared.errors import ConfigurationError
from shared.outbox.signature_text import MOST_EVENTS_OF_SIGNATURE
from shared.postgres.urls import checked_database_url

PREFIX = "EXITFLOW_"
_NOT_SETTINGS = frozenset({"EXITFLOW_TESTING", "EXITFLOW_TEST_KAFKA", "EXITFLOW_FAILPOINTS", "EXITFLOW_SECRETS_DIR"})


class Execution(StrEnum):
    """Who decides when an approved exit is sent; exit-orders alone sends orders either way."""

    EXIT_QUALIFICATION = "exit_qualification"
    TRADE_MANAGEMENT = "trade_management"


class Settings(BaseSettings):
    """Settings of a process. Defaults suit one machine; names end with their unit."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    _process: str = PrivateAttr("exitflow")

    # PostgreSQL. Each process gets the URL with its own role's credentials.
    exit_database_url: SecretStr | None = Field(None, description="URL of the database with schema exit_qualification")
    trade_database_url: SecretStr | None = Field(None, description="URL of the database with schema trade_management")
    admin_database_url: SecretStr | None = Field(
        None, description="URL of an administrator who may create roles; only for `exitflow migrate roles`"
    )
    exit_role_password: SecretStr | None = Field(None, description="password `migrate roles` gives to exitflow_exit")
    trade_role_password: SecretStr | None = Field(None, description="password `migrate roles` gives to exitflow_trade")
    relay_role_password: SecretStr | None = Field(None, description="password `migrate roles` gives to exitflow_relay")
    migrator_role_password: SecretStr | None = Field(
        None, description="password `migrate roles` gives to exitflow_migrator"
    )
    database_pooler: bool = Field(
        False, description="the database URLs lead to a pooler in transaction mode; not for the relay and `migrate`"
    )
    database_statement_timeout_s: float | None = Field(
        None, gt=0, description="time limit of a statement; default 8 s in an API, 10 s in a worker"
    )
    database_pool_size: int = Field(
        5, ge=1, le=100, description="maximum number of open database connections of a process"
    )

    # Rows kept only against repetition
    inbox_keep_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="age at which inbox rows are removed; must exceed Kafka's time for redelivery",
    )
    idempotency_keep_days: int = Field(
        7, ge=1, le=3650, description="age at which answers to Idempotency-Keys are removed"
    )
    prune_every_s: float = Field(3600, ge=1, description="interval between removals of old inbox rows and answers")

    # Kafka
    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, comma separated")
    kafka_security_protocol: str = Field(
        "PLAINTEXT",
        pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$",
        description="how every Kafka client of this process connects; SASL_SSL where others can reach the cluster",
    )
    kafka_sasl_mechanism: str = Field(
        "SCRAM-SHA-512", pattern="^(SCRAM-SHA-512|SCRAM-SHA-256|PLAIN)$", description="SASL mechanism of the client"
    )
    kafka_username: str | None = Field(None, description="Kafka user of this process")
    kafka_password: SecretStr | None = Field(None, description="password of this user")
    kafka_ca: str | None = Field(
        None, description="CA certificates of the cluster in PEM; unset: the system's certificates"
    )
    kafka_users: SecretStr | None = Field(
        None, description='only for `exitflow topics acls`: JSON {"<user>": "<password>"} of the users to make'
    )
    kafka_topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="prefix of every topic name, for environments on one cluster",
    )
    kafka_consumer_prefix: str = Field("exitflow", description="prefix of every consumer group's name")
    kafka_session_timeout_s: float = Field(
        6,
        ge=1,
        description="a consumer silent for this time loses its partitions; the cluster must allow the value",
    )
    kafka_watch_s: float = Field(
        5, ge=0.1, le=5, description="how often a consumer compares its topics and positions with the cluster"
    )
    topic_partitions: int = Field(
        12, ge=1, le=1024, description="partitions of each topic `exitflow topics create` makes"
    )
    topic_replication: int = Field(1, ge=1, le=9, description="replicas of each topic `exitflow topics create` makes")

    # signatures of events
    event_signing_key: SecretStr | None = Field(
        None, description="Ed25519 private key in PEM for signing the events of this process"
    )
    events_per_signature: int = Field(
        MOST_EVENTS_OF_SIGNATURE,
        ge=1,
        le=MOST_EVENTS_OF_SIGNATURE,
        description="events of a transaction that share a signature, at most; 1 while readers know no shared ones",
    )
    exit_event_keys: str | None = Field(
        None, description="public keys in PEM, concatenated, for verifying events of exit qualification"
    )
    trade_event_keys: str | None = Field(
        None, description="public keys in PEM, concatenated, for verifying events of trade management"
    )

    # HTTP
    http_host: str = Field("127.0.0.1", description="listening address of a process")
    http_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="listening port of a process; default: 8000 to 8003 for console and APIs, none for a worker",
    )
    http_connections: int = Field(
        500, ge=1, le=100_000, description="maximum number of open client connections of an HTTP server"
    )
    http_request_timeout_s: float = Field(15, gt=0, description="time for a request to arrive completely; later: 408")
    http_requests_per_s: int = Field(
        2_000, ge=0, description="requests of one token a second, averaged over ten seconds; more: 429; 0: no limit"
    )
    public_token: SecretStr | None = Field(None, description="bearer token of the command line")
    exit_api_url: str = Field(
        "http://127.0.0.1:8001", description="URL of exit-api for the command line, the console and trade-api"
    )
    trade_api_url: str = Field(
        "http://127.0.0.1:8002", description="URL of trade-api for the command line and the console"
    )

    # console
    console_session_key: SecretStr | None = Field(
        None,
        description="secret of at least 32 characters for the console's session cookies, the same for every copy of "
        "the console; unset: a new one at each start, and everybody is signed out",
    )
    console_session_hours: float = Field(12, gt=0, le=168, description="time until an operator must sign in again")
    console_https: bool = Field(
        False, description="browsers reach the console by https: its cookies are then sent over https only"
    )
    console_processes: str = Field(
        "",
        pattern=r"^([a-z0-9-]+=https?://[^\s,=]+(,[a-z0-9-]+=https?://[^\s,=]+)*)?$",
        description="processes with their /readyz in the console: name=URL, comma separated",
    )
    console_trace_url: str = Field(
        "",
        pattern=r"^(https?://[^\s]*\{trace_id\}[^\s]*)?$",
        description="page of a trace in your trace viewer, with {trace_id} in it; links from each exit of a trade",
    )
    console_refresh_ms: int = Field(
        1000, ge=100, le=60_000, description="interval between two looks of a live list of the console"
    )

    # trade-api
    last_prices_token: SecretStr | None = Field(
        None,
        description="trade-api's bearer token, scopes read and execute, for asking exit-api for last prices and for "
        "holds of exits; without it plans are not compared with the last price",
    )

    # execution of exits: the same in exit-orders, exit-api and trade-fills
    execution: Execution = Field(
        Execution.EXIT_QUALIFICATION,
        description="who has approved exits executed: `exit_qualification`, or `trade_management` after a look at its "
        "trade; set it for exit-orders, exit-api and trade-fills alike",
    )
    execution_token: SecretStr | None = Field(
        None,
        description="trade-fills' bearer token, scopes read and execute, for asking exit-api to execute exits; only "
        "where EXITFLOW_EXECUTION is trade_management",
    )

    # exit-ticks
    tick_batch_size: int = Field(
        5000, ge=1, le=100_000, description="maximum number of records taken at once; a batch grows with the backlog"
    )
    tick_checkpoint_ms: int = Field(
        1000,
        ge=0,
        le=60_000,
        description="longest time between stores of offsets and symbols while no exit is written; a restart reads"
        " so much again",
    )
    tick_poll_ms: int = Field(
        500, ge=1, le=10_000, description="longest wait for records while nothing else is due; a stop waits as long"
    )
    tick_new_clock_after_s: float = Field(
        2,
        ge=0.1,
        le=3600,
        description="after this time of stale ticks with rising seq, a symbol follows its producer's new clock",
    )
    rearm_poll_ms: int = Field(
        500, ge=50, le=60_000, description="interval between queries for fired exits to arm again"
    )
    cooldown_s: float = Field(60, ge=0, description="minimum time between two exits of a trade for one reason")
    square_off_mis: time = Field(
        time(15, 20), description="square-off time of MIS trades with square_off in their plan, Asia/Kolkata"
    )
    intent_ttl_s: float = Field(
        60,
        gt=0,
        description="age at which an unsent intent is cancelled; stops, TIME and MANUAL keep waiting",
    )

    # exit-orders; the paper broker has the same limits of orders
    order_workers: int = Field(16, ge=1, le=64, description="number of orders sent at the same time")
    orders_per_s: int = Field(
        10, ge=1, le=1000, description="most orders to one broker account in a second, over all processes"
    )
    orders_per_min: int = Field(400, ge=1, le=50_000, description="the same in a minute")
    orders_per_day: int = Field(5000, ge=1, le=1_000_000, description="the same in a day, Asia/Kolkata")
    order_claim_s: float = Field(30, gt=0, description="longest time of an intent with one sender")
    order_poll_ms: int = Field(
        1000, ge=5, description="longest interval between queries for APPROVED intents; a new one is notified"
    )
    reconcile_ms: int = Field(
        250, ge=20, description="interval between reads of the broker's books while orders are open"
    )
    position_watch_s: float = Field(
        5, ge=1, description="interval between comparisons of the positions at the brokers with the open trades"
    )
    broker_timeout_s: float = Field(7, gt=0, description="HTTP time-out of a broker call")
    unfilled_cancel_s: float = Field(
        10, gt=0, description="age at which an unfilled order is cancelled; the rest exits with a new order"
    )
    absence_gap_s: float = Field(
        120, gt=0, description="an order counts as never placed if its tag is absent on two reads this far apart"
    )
    refusal_gap_s: float = Field(
        20, ge=0, description="a refused order failed if its tag is absent on two reads this far apart; books lag"
    )
    retry_backoff_s: float = Field(
        1, gt=0, description="first wait before a failed exit may fire again; doubles each time"
    )
    retry_backoff_max_s: float = Field(30, gt=0, description="longest wait before a failed exit may fire again")
    order_limit: int = Field(
        10,
        ge=1,
        le=1000,
        description="unfilled orders of a trade and reason in the window; beyond it one a minute, or none if MANUAL",
    )
    order_limit_window_s: float = Field(600, gt=0, description="length of the window of the order limit")
    broker_hosts: str = Field(
        DEFAULT_BROKER_HOSTS,
        description="hosts allowed to receive a broker's access token: host, host:port or http://host:port, "
        "comma separated; plain http only on loopback and at http:// entries",
    )
    broker_credentials: SecretStr | None = Field(
        None, description='JSON: {"<user_broker_id>": {"api_key": "", "api_secret": "", "access_token": ""}}'
    )

    postback_secrets: SecretStr | None = Field(
        None,
        description='JSON: {"<user_broker_id>": "<api_secret>"}; without it posted order updates are refused',
    )
    postbacks_per_s: int = Field(
        20, ge=1, description="order updates of an account a second, averaged over ten seconds; more: 429"
    )

    # relay
    relay_outboxes: str = Field(
        "exit,trade", pattern=r"^(exit|trade)(,(exit|trade))?$", description="outboxes published by the relay"
    )
    relay_lease_s: float = Field(10, ge=1, description="time a shard is held without renewal")
    relay_batch_size: int = Field(5000, ge=1, le=100_000, description="maximum number of events in flight")
    relay_poll_min_ms: float = Field(1, ge=0.5, description="wait between queries while events flow")
    relay_poll_max_ms: float = Field(
        50,
        ge=1,
        description="longest wait between queries of a relay unable to rest, after a minute without events",
    )
    relay_retention_days: int = Field(
        7, ge=0, le=36_500, description="days of keeping published events after their day (UTC); 0: for ever"
    )
    relay_partitions_ahead: int = Field(3, ge=1, le=31, description="days ahead with partitions already made")
    relay_maintenance_s: float = Field(300, ge=1, description="interval between runs of partition maintenance")

    # paper-broker
    paper_broker_cash: int = Field(100_000_000, ge=0, le=10**11, description="cash of each paper account, in rupees")
    paper_broker_dir: Path = Field(Path("paper-broker"), description="folder of the paper broker's ledger")
    paper_broker_freeze_quantity: int = Field(
        0, ge=0, le=10**9, description="largest order at the paper broker, larger ones come in slices; 0: none"
    )
    paper_broker_latency_ms: int = Field(
        0, ge=0, le=60_000, description="typical time between the paper broker's acceptance of an order and its fill"
    )
    paper_broker_postback_url: HttpUrl | None = Field(
        None,
        description="URL for the paper broker's order updates, e.g. http://127.0.0.1:8001/postbacks/kite; "
        "unset: it posts none",
    )

    # traces
    otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="URL of an OpenTelemetry collector (OTLP over HTTP) for a trace of each exit, "
        "e.g. http://127.0.0.1:4318; unset: no spans are made",
    )
    otlp_headers: SecretStr | None = Field(
        None, description="headers for the collector: name=value, comma separated; for its authorization"
    )

    # health
    health_deadline_s: float = Field(
        12, gt=0, le=60, description="a loop or dependency silent for this time makes its process not ready"
    )

    # local stack
    ready_timeout_s: float = Field(
        300, gt=0, description="time for the servers of `exitflow up`, and then for its services, to become ready"
    )

    # logs
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="lowest logged level")
    log_format: str = Field("text", pattern="^(text|json)$", description="`text` or `json`")

    def require_exit_database(self) -> str:
        """Return the exit_qualification database URL, or raise a ConfigurationError naming the setting."""
        return _database(self.exit_database_url, "EXIT_DATABASE_URL")

    def require_trade_database(self) -> str:
        """Return the trade_management database URL, or raise a ConfigurationError naming the setting."""
        return _database(self.trade_database_url, "TRADE_DATABASE_URL")

    @property
    def process(self) -> str:
        """Return the name of the process with these settings."""
        return self._process

    def of_process(self, name: str) -> Settings:
        """Return these settings for a process; its clients of PostgreSQL and Kafka use the name."""
        copy = self.model_copy()
        copy._process = name
        return copy

    def admin_database(self) -> str | None:
        """Return the administrator's URL if set, or raise a ConfigurationError if it is invalid."""
        return _database(self.admin_database_url, "ADMIN_DATABASE_URL") if self.admin_database_url else None


def _database(secret: SecretStr | None, name: str) -> str:
    if secret is None:
        raise ConfigurationError(f"{PREFIX}{name} is not set; set it to postgresql://USER:PASSWORD@HOST/DATABASE")
    return checked_database_url(secret.get_secret_value(), PREFIX + name)


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Return the settings of this process, read once.

    Raises
    ------
    ConfigurationError
        An impossible value, or an ``EXITFLOW_`` variable without a setting. Never shows a value.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | _NOT_SETTINGS
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise ConfigurationError(f"unknown settings: {', '.join(unknown)}")
    secrets_dir = os.environ.get("EXITFLOW_SECRETS_DIR")
    try:
        return Settings(_secrets_dir=secrets_dir)
    except ValidationError as error:
        problems = "; ".join(f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors() if e["loc"])
        raise ConfigurationError(f"settings: {problems}") from None
