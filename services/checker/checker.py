"""Check all invariants of a running system."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection

from services.checker.broker_books import BrokerBooks, check_broker_books, read_broker_books
from services.checker.closures import check_closures
from services.checker.effects import check_effects
from services.checker.exit_books import read_exit_books
from services.checker.finding import Finding
from services.checker.intents import check_one_exit, check_outcomes, check_signals
from services.checker.kafka_log import LogRecord, Removed, read_log, read_removed
from services.checker.outbox_rows import (
    OutboxRow,
    ParkedRow,
    read_kept_from,
    read_outbox,
    read_parked,
)
from services.checker.publication import check_publication
from services.checker.trade_books import read_trade_books
from services.checker.writers import check_writers
from shared.clock import Clock
from shared.postgres.connection_limits import TOOLS
from shared.postgres.engine import open_engine
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from shared.settings import Settings

SETTLE_POLL_S = 1.0


@dataclass(frozen=True)
class SystemUnderCheck:
    """Where to look.

    Attributes
    ----------
    exit_database_url, trade_database_url:
        For a role with rights to read everything; nothing is written.
    settings:
        Name the Kafka cluster and its topics.
    broker_url, broker_credentials:
        The paper broker and its account's api_key and access_token; an empty URL leaves its books out.
    foreign_key_prefix:
        Records with such a key prefix were put there by others on purpose and are left out; empty: none.
    """

    exit_database_url: str = field(repr=False)
    trade_database_url: str = field(repr=False)
    settings: Settings
    broker_url: str = ""
    broker_credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    foreign_key_prefix: str = ""


def check(system: SystemUnderCheck, clock: Clock) -> list[Finding]:
    """Return a finding for each rule."""
    with (
        reading(system.exit_database_url, EXIT_QUALIFICATION) as exit_side,
        reading(system.trade_database_url, TRADE_MANAGEMENT) as trade_side,
    ):
        # The rows before the log: an event published meanwhile is then a record too many, not a row too many.
        rows = [*read_outbox(exit_side), *read_outbox(trade_side)]
        parked = [*read_parked(exit_side), *read_parked(trade_side)]
        log = [record for record in read_log(system.settings, clock) if not _is_foreign(record, system)]
        broker = read_broker_books(system.broker_url, system.broker_credentials) if system.broker_url else None
        return judge(exit_side, trade_side, rows, parked, log, broker, read_removed(system.settings))


def _is_foreign(record: LogRecord, system: SystemUnderCheck) -> bool:
    return bool(system.foreign_key_prefix) and record.key.startswith(system.foreign_key_prefix)


def judge(
    exit_side: Connection,
    trade_side: Connection,
    rows: Sequence[OutboxRow],
    parked: Sequence[ParkedRow],
    log: Sequence[LogRecord],
    broker: BrokerBooks | None,
    removed: Removed = Removed(),  # immutable
) -> list[Finding]:
    """Return a finding for each rule, in order; skip the broker's books if there are none."""
    exits, trades = read_exit_books(exit_side), read_trade_books(trade_side)
    kept_from = read_kept_from(exit_side) | read_kept_from(trade_side)
    found = [
        check_signals(exit_side),
        check_publication(rows, parked, log, kept_from, removed),
        check_closures(trades, exits),
        check_one_exit(exit_side),
        check_effects(trades, parked, log, removed),
        check_outcomes(exit_side),
        check_writers(trade_side),
    ]
    return found if broker is None else [*found, check_broker_books(broker, exits)]


def check_once_settled(
    system: SystemUnderCheck, clock: Clock, limit_s: float, say: Callable[[str], None] = lambda _: None
) -> list[Finding]:
    """Repeat the check until everything holds, at most `limit_s` seconds: work in progress is no violation.

    `say` is told of the rules waited for, whenever they change.
    """
    deadline = clock.monotonic() + limit_s
    told = ""
    while True:
        found = check(system, clock)
        waited_for = ", ".join(finding.rule.number for finding in found if not finding.holds)
        left_s = deadline - clock.monotonic()
        if not waited_for or left_s <= 0:
            return found
        if waited_for != told:
            say(f"not settled yet: {waited_for}; looking again for {left_s:.0f} s")
            told = waited_for
        time.sleep(SETTLE_POLL_S)


@contextmanager
def reading(url: str, schema: str) -> Iterator[Connection]:
    """Open one snapshot of a schema for all statements."""
    engine = open_engine(url, schema, application="exitflow-invariants", limits=TOOLS)
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as reading:
            yield reading
    finally:
        engine.dispose()
