"""Every disturbance of a whole stack, at once, and the checker's verdict on the outcome."""

from __future__ import annotations

import dataclasses
import logging
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka.selection import KafkaChoice
from deploy.local.stack import stack
from deploy.local.stack.stack import StackOptions
from services.checker.stack import system_under_check
from shared.settings import load_settings
from tests.chaos.stack.extent import (
    DISK_MEGABYTES,
    DRAIN_LIMIT_S,
    DURATION_S,
    IS_CHAOS,
    KINDS,
    READY_LIMIT_S,
    SEED,
    STANDSTILL_S,
)
from tests.chaos.stack.faults import FOREIGN_KEY, Faults
from tests.chaos.stack.schedule import KINDS as ALL_KINDS
from tests.chaos.stack.schedule import draw_schedule
from tests.chaos.stack.verdict import SETTLE_LIMIT_S, open_trades, violations
from tests.chaos.stack.workload import Workload
from tests.support.servers import server_directory
from tests.support.small_disk import SmallDisk, can_mount, small_disk

log = logging.getLogger(__name__)

SHORT_KINDS = (
    "kill",
    "end",
    "kill_backend",
    "terminate_backends",
    "lock_rows",
    "use_up_connections",
    "fill_disk",
    "throw_records",
)
"""Limits quick enough for the short form."""
START_LIMIT_S = 300


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """The place of the stack's data: a disk to be filled, if one can be mounted."""
    with server_directory("chaos") as directory:
        if not can_mount():
            yield SmallDisk(directory)
            return
        with small_disk(directory, DISK_MEGABYTES) as mounted:
            yield mounted


@pytest.fixture
def data_dir(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data directory of a running stack with quick settling of unanswered orders and no limit of orders a day."""
    monkeypatch.setenv("EXITFLOW_ABSENCE_GAP_S", "5")
    # A quarter of an hour of faults places more orders on its one account than a broker takes in a day.
    monkeypatch.setenv("EXITFLOW_ORDERS_PER_DAY", "1000000")
    load_settings.cache_clear()
    said: list[str] = []
    directory = disk.path / "stack"
    assert stack.up_detached(StackOptions(directory, KafkaChoice.APACHE), said.append) == 0, "\n".join(said)
    yield directory
    assert stack.down(directory, said.append) == 0, "\n".join(said)
    load_settings.cache_clear()


def _own_ends(data_dir: Path) -> list[str]:
    """Return the supervisor's lines about processes ended by an error of theirs: none of the faults is one."""
    lines = (data_dir / "logs" / "supervisor.log").read_text(errors="replace").splitlines()
    return [line for line in lines if re.search(r"ended with status (?!0)", line)]


@pytest.mark.long
@pytest.mark.apache
@pytest.mark.timeout(DURATION_S + START_LIMIT_S + READY_LIMIT_S + DRAIN_LIMIT_S + 2 * SETTLE_LIMIT_S)
def test_stack_loses_and_doubles_nothing_under_every_fault(data_dir: Path, disk: SmallDisk, tmp_path: Path) -> None:
    def running() -> dict[str, Any]:
        return stack.read_stack(data_dir)

    workload = Workload(running(), SEED)
    faults = Faults(running, workload, disk if can_mount() else None)
    schedule = draw_schedule(SEED, DURATION_S, KINDS or (tuple(ALL_KINDS) if IS_CHAOS else SHORT_KINDS))
    for chatty in ("httpx", "services.cli.support.tick_sender.librdkafka"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    log.info("%d faults; again: make chaos SEED=%d DURATION_S=%.0f", len(schedule), SEED, DURATION_S)
    with workload.at_work():
        faults.play(schedule)
        healed = time.monotonic()
        while not (status := stack.status(data_dir)).ready and time.monotonic() < healed + READY_LIMIT_S:
            time.sleep(0.5)
        ready_after_s = time.monotonic() - healed
        unready = [f"{one.name} is not ready: {one.problem}" for one in status.processes if not one.ready]
    still_open = workload.exit_everything(lambda: open_trades(running()), STANDSTILL_S)
    system = dataclasses.replace(system_under_check(data_dir, running()), foreign_key_prefix=FOREIGN_KEY)
    found = [*unready, *violations(running(), system, workload)]
    report = (
        f"seed {SEED}, {len(faults.diary)} faults, {len(workload.opened)} trades asked for,"
        f" {len(workload.forced)} exits forced, ready {ready_after_s:.1f} s after the last fault"
    )
    log.info("\n".join([report, "ended by themselves:", *_own_ends(data_dir)]))
    if still_open or found:
        shutil.copytree(data_dir / "logs", tmp_path / "logs")
        report += f"; logs: {tmp_path / 'logs'}"
    assert not still_open and not found, "\n".join([report, f"{still_open} trades open", *found, *faults.diary])
