"""All settings, typed. Read from environment variables ``EXITFLOW_<NAME>``, or from files named ``exitflow_<name>`` in
the directory ``EXITFLOW_SECRETS_DIR``. Unknown settings are rejected.
"""

from __future__ import annotations

import os
from datetime import time
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.broker_hosts import DEFAULT_BROKER_HOSTS
from shared.errors import ConfigurationError
from shared.postgres.urls import checked_database_url

PREFIX = "EXITFLOW_"
_NOT_SETTINGS = frozenset({"EXITFLOW_TESTING", "EXITFLOW_TEST_KAFKA", "EXITFLOW_FAILPOINTS", "EXITFLOW_SECRETS_DIR"})


class Settings(BaseSettings):
    """Settings of a process. Defaults suit one machine; names end with their unit."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    # PostgreSQL. Each process gets the URL with its own role's credentials.
    exit_database_url: SecretStr | None = Field(None, description="database that holds schema exit_qualification")
    trade_database_url: SecretStr | None = Field(None, description="database that holds schema trade_management")
    admin_database_url: SecretStr | None = Field(
        None, description="only for `exitflow migrate roles`: who may create roles"
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
        None, gt=0, description="longest statement of a service; by default 8 s in an API, 10 s in a worker"
    )
    database_pool_size: int = Field(5, ge=1, le=100, description="connections a process keeps open at most")

    # Rows that only guard against repetition
    inbox_keep_days: int = Field(
        30, ge=1, le=3650, description="events are remembered for so long; must exceed what Kafka can deliver again"
    )
    idempotency_keep_days: int = Field(7, ge=1, le=3650, description="answers to Idempotency-Keys are kept for so long")
    prune_every_s: float = Field(3600, ge=1, description="how often older rows of both are removed")

    # Kafka
    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, comma separated")
    kafka_security_protocol: str = Field(
        "PLAINTEXT",
        pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$",
        description="how every Kafka client of this process connects; SASL_SSL where others can reach the cluster",
    )
    kafka_sasl_mechanism: str = Field(
        "SCRAM-SHA-512", pattern="^(SCRAM-SHA-512|SCRAM-SHA-256|PLAIN)$", description="how it proves who it is"
    )
    kafka_username: str | None = Field(None, description="the process's own user on the cluster")
    kafka_password: SecretStr | None = Field(None, description="and its password")
    kafka_ca: str | None = Field(
        None, description="certificates in PEM that the cluster's is checked against; unset: those of the system"
    )
    kafka_users: SecretStr | None = Field(
        None, description='only for `exitflow topics acls`: JSON {"<user>": "<password>"} of the users to make'
    )
    kafka_topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="put before every topic name, for environments that share a cluster",
    )
    kafka_consumer_prefix: str = Field("exitflow", description="put before every consumer group's name")
    kafka_session_timeout_s: float = Field(
        6, ge=1, description="a consumer silent for so long loses its partitions; the cluster must allow it"
    )
    kafka_watch_s: float = Field(
        3, ge=0.1, le=5, description="how often a consumer compares its topics and positions with the cluster"
    )
    topic_partitions: int = Field(
        12, ge=1, le=1024, description="partitions of each topic `exitflow topics create` makes"
    )
    topic_replication: int = Field(1, ge=1, le=9, description="replicas of each such topic")

    # signatures of events
    event_signing_key: SecretStr | None = Field(
        None, description="Ed25519 private key in PEM with which this process signs the events that it writes"
    )
    exit_event_keys: str | None = Field(
        None, description="public keys in PEM, one after another, that events of exit qualification are believed by"
    )
    trade_event_keys: str | None = Field(
        None, description="public keys in PEM, one after another, that events of trade management are believed by"
    )

    # HTTP
    http_host: str = Field("127.0.0.1", description="address a process listens on")
    http_port: int | None = Field(
        None, ge=0, le=65535, description="its port; by default the one of its process, for a worker none"
    )
    http_connections: int = Field(500, ge=1, le=100_000, description="connections a process keeps open at most")
    http_request_timeout_s: float = Field(
        15, gt=0, description="a request must arrive whole in this time; otherwise it is answered 408"
    )
    http_requests_per_s: int = Field(
        500, ge=0, description="requests of one token a second, over ten seconds; more are answered 429; 0: no limit"
    )
    public_token: SecretStr | None = Field(None, description="bearer token that the CLI and the console send")
    exit_api_url: str = Field("http://127.0.0.1:8001", description="where the CLI and the console find exit-api")
    trade_api_url: str = Field("http://127.0.0.1:8002", description="where the CLI and the console find trade-api")

    # exit-ticks
    tick_batch_size: int = Field(1000, ge=1, le=100_000, description="records judged in one transaction at most")
    tick_poll_ms: int = Field(20, ge=1, le=10_000, description="longest wait for records before the clock is looked at")
    tick_new_clock_after_s: float = Field(
        2,
        ge=0.1,
        le=3600,
        description="a symbol whose ticks are all stale for so long while seq rises follows their clock",
    )
    rearm_poll_ms: int = Field(
        500, ge=50, le=60_000, description="how often the database is asked which fired exits may fire again"
    )
    cooldown_s: float = Field(60, ge=0, description="a (trade, reason) fires at most once in this time")
    square_off_mis: time = Field(
        time(15, 20), description="when MIS trades whose plan says square_off exit, Asia/Kolkata"
    )
    intent_ttl_s: float = Field(
        60,
        gt=0,
        description="an intent not sent by then is cancelled; a stop, TIME and MANUAL wait on",
    )

    # exit-orders
    order_workers: int = Field(4, ge=1, le=64, description="orders sent at the same time")
    order_claim_s: float = Field(30, gt=0, description="how long a sender may hold an intent")
    order_poll_ms: int = Field(100, ge=5, description="how often APPROVED intents are looked for")
    reconcile_ms: int = Field(250, ge=20, description="how often the broker is asked while orders are at work")
    broker_timeout_s: float = Field(7, gt=0, description="HTTP time-out of a broker call")
    unfilled_cancel_s: float = Field(
        10, gt=0, description="an exit order not filled by then is cancelled and the rest exits anew"
    )
    absence_gap_s: float = Field(
        120, gt=0, description="a tag must be absent on two reads this far apart to count as never placed"
    )
    retry_backoff_s: float = Field(1, gt=0, description="first wait before an exit that failed may fire again; doubles")
    retry_backoff_max_s: float = Field(30, gt=0, description="longest such wait")
    order_limit: int = Field(
        10,
        ge=1,
        le=1000,
        description="orders of a trade for one reason in the window; then slower, or none if manual",
    )
    order_limit_window_s: float = Field(600, gt=0, description="length of that window")
    broker_hosts: str = Field(
        DEFAULT_BROKER_HOSTS,
        description="hosts that a broker's access token may be sent to: host, host:port or http://host:port, "
        "comma separated; plain http only on loopback and at http:// entries",
    )
    broker_credentials: SecretStr | None = Field(
        None, description='JSON: {"<user_broker_id>": {"api_key": "", "api_secret": "", "access_token": ""}}'
    )

    # relay
    relay_outboxes: str = Field(
        "exit,trade", pattern=r"^(exit|trade)(,(exit|trade))?$", description="whose outboxes to publish"
    )
    relay_lease_s: float = Field(10, ge=1, description="how long a shard is held without renewal")
    relay_batch_size: int = Field(5000, ge=1, le=100_000, description="events in flight at most")
    relay_poll_min_ms: float = Field(1, ge=0.5, description="wait between looks while events flow")
    relay_poll_max_ms: float = Field(50, ge=1, description="wait between looks when idle")
    relay_retention_days: int = Field(
        7, ge=0, le=36_500, description="published events are kept for so long after their day (UTC); 0: for ever"
    )
    relay_partitions_ahead: int = Field(3, ge=1, le=31, description="days for which partitions are made ahead")
    relay_maintenance_s: float = Field(300, ge=1, description="how often partitions are made, closed and dropped")

    # paper-broker
    paper_broker_dir: Path = Field(Path("paper-broker"), description="folder of the paper broker's ledger")

    # health
    health_deadline_s: float = Field(
        12, gt=0, le=60, description="a loop or dependency not heard of for so long makes its process unready"
    )

    # local stack
    ready_timeout_s: float = Field(
        300, gt=0, description="how long `exitflow up` waits for its servers, and then its services, to be ready"
    )

    # logs
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least level that is written")
    log_format: str = Field("text", pattern="^(text|json)$", description="text for people, json for machines")

    def require_exit_database(self) -> str:
        """Return the exit_qualification database URL, or raise a ConfigurationError naming the setting."""
        return _database(self.exit_database_url, "EXIT_DATABASE_URL")

    def require_trade_database(self) -> str:
        """Return the trade_management database URL, or raise a ConfigurationError naming the setting."""
        return _database(self.trade_database_url, "TRADE_DATABASE_URL")

    def admin_database(self) -> str | None:
        """Return the administrator's URL if set, or raise a ConfigurationError if it is invalid."""
        return _database(self.admin_database_url, "ADMIN_DATABASE_URL") if self.admin_database_url else None


def _database(secret: SecretStr | None, name: str) -> str:
    if secret is None:
        raise ConfigurationError(f"{PREFIX}{name} is not set")
    return checked_database_url(secret.get_secret_value(), PREFIX + name)


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Return the settings of this process, read once.

    Raises
    ------
    ConfigurationError
        A value that cannot be, or an ``EXITFLOW_`` variable that is no setting. Never shows a value.
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
