"""Days of 0.4 seconds: partitions are closed under writers, long transactions and a relay at work."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import relay_process
from tests.integration.outbox_relay.retention.conftest import Rig
from tests.support.product_process import ProductProcess
from tests.support.waiting import LIMIT_S, wait_until

DAY = timedelta(seconds=0.4)
DAYS = 9
SHORT = "outbox_event_short"


def test_no_event_is_lost_when_partitions_are_closed_under_load(
    rig: Rig, writer: Writer, log: KafkaLog, exit_relay: Settings
) -> None:
    ProductProcess("", {}).wait(LIMIT_S)  # the days do not pass while the fork server imports the product
    _short_days(rig)
    over = threading.Event()
    with relay_process(exit_relay), ThreadPoolExecutor(3) as pool:
        closing = pool.submit(_close_all, rig, over)
        long_ones = pool.submit(_write_slowly, rig, writer, over)
        seed = 0
        while not over.is_set():
            seed += 10
            writer.write_concurrently(seed=seed, writers=4, transactions=25, keys=20)
        long_ones.result()
        outcomes = closing.result()
        committed = _committed(rig)
        assert_published_in_order(log.wait_for(len(committed)), committed)
    assert outcomes["closed"] == DAYS
    assert outcomes["unpublished"] + outcomes["busy"] > 0


def _short_days(rig: Rig) -> None:
    begin = rig.days_ago(0) + timedelta(seconds=1)
    for n in range(DAYS):
        rig.partition_between(f"{SHORT}_{n}", begin + n * DAY, begin + (n + 1) * DAY)


def _close_all(rig: Rig, over: threading.Event) -> Counter[str]:
    """Try to close every past partition, again and again, until all are closed; count the answers."""
    outcomes: Counter[str] = Counter()

    def all_closed() -> bool:
        live = [part for part in rig.partitions().catalogue() if part.state == "live" and SHORT in part.name]
        outcomes.update(rig.partitions().close(part.name) for part in live if part.over)
        if live[-1:] and all(part.over for part in live):
            over.set()
        return not live

    try:
        wait_until(all_closed)
    finally:
        over.set()
    return outcomes


def _write_slowly(rig: Rig, writer: Writer, over: threading.Event) -> None:
    """Write transactions open over the ends of days, at least one."""
    while True:
        with writer.long_transaction(*(f"slow-{key}" for key in range(10))):
            _outlast_a_day(rig)
        if over.is_set():
            return


def _outlast_a_day(rig: Rig) -> None:
    until = rig.now() + 1.5 * DAY
    wait_until(lambda: rig.now() > until)


def _committed(rig: Rig) -> dict[str, tuple[str, int]]:
    rows = rig.migrator.execute("SELECT event_id::text, key, sequence FROM outbox_history")
    return {event_id: (key, sequence) for event_id, key, sequence in rows}
