"""Operators and the relay lock parked events in one order: neither waits for the other for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.outbox_relay.database.connection import Connection, connect
from services.outbox_relay.parking.parked_events import DecidedEvent, Outcome, ParkedEventStore
from services.outbox_relay.shards.progress_store import ProgressStore
from shared.settings import Settings
from tests.integration.outbox_relay.parking.operator import Operator
from tests.integration.outbox_relay.parking.parked_rows import PARK
from tests.support.waiting import wait_until

FIRST, LAST = (f"00000000-0000-7000-8000-00000000000{n}" for n in (1, 2))
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
"""


@pytest.fixture
def open_one(exit_relay: Settings) -> Iterator[Callable[[], Connection]]:
    """Opens connections as the relay has them."""
    opened: list[Connection] = []

    def another() -> Connection:
        opened.append(connect(exit_relay.require_exit_database(), "exit_qualification"))
        return opened[-1]

    yield another
    for connection in opened:
        connection.close()


def decided(event_id: str, key: str) -> DecidedEvent:
    """An event as the relay takes it up."""
    headers = ("type", "source", "subject", "time", "trace", "key:signature", None)
    return DecidedEvent(event_id, 0, "t", key, 1, *headers, b"", "REPLAY", "ops-desk", None, "why")


def conclude(connection: Connection, *, refused: bool) -> None:
    """Write down the outcome of both events, the last first."""
    both = [decided(LAST, "a"), decided(FIRST, "b")]
    outcome = Outcome(refused=[(event, "no") for event in both]) if refused else Outcome(done=both)
    ParkedEventStore(connection, ProgressStore(connection)).conclude(outcome, [])


@pytest.mark.parametrize("act", ["replay", "published", "refused again"])
def test_waiter_for_first_event_holds_no_lock_on_later_events(
    act: str, operator: Operator, open_one: Callable[[], Connection]
) -> None:
    holder, actor, observer = open_one(), open_one(), open_one()
    for event_id, key in ((LAST, "a"), (FIRST, "b")):
        holder.execute(PARK, (event_id, key, 1, "t", key, 1, "because", None if act == "replay" else "REPLAY"))
    acts: dict[str, Callable[[], Any]] = {
        "replay": lambda: operator.replay("t"),
        "published": lambda: conclude(actor, refused=False),
        "refused again": lambda: conclude(actor, refused=True),
    }
    thread = threading.Thread(target=acts[act])
    with holder.transaction():
        holder.execute("SELECT FROM outbox_parked WHERE event_id = %s FOR UPDATE", (FIRST,))
        thread.start()
        wait_until(lambda: observer.execute(WAITING).fetchone() == (1,))
        observer.execute("SELECT FROM outbox_parked WHERE event_id = %s FOR UPDATE NOWAIT", (LAST,))
    thread.join()
    found = observer.execute("SELECT count(*) FROM outbox_parked WHERE request IS NOT NULL").fetchone()
    assert found == (2 if act == "replay" else 0,)
