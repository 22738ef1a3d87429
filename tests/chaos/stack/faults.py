"""Each kind of fault of the schedule, done to a running stack and undone when its time is over."""

from __future__ import annotations

import contextlib
import heapq
import logging
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import psutil
import psycopg
from confluent_kafka import KafkaException, Producer
from psycopg import sql

from services.cli.support.connection import Target
from shared.kafka.clients import Headers, producer_config
from tests.chaos.stack.schedule import Fault
from tests.chaos.stack.workload import Workload
from tests.support.small_disk import SmallDisk

FOREIGN_KEY = "chaos-"
"""Key prefix of every foreign record thrown into a topic."""
CONNECTIONS_AT_MOST = 400
OVERSIZED_BYTES = 900_000
_CONNECT_LIMIT_S = 2
_ROWS = {
    "trades": ("trade_management", "SELECT FROM trades ORDER BY random() LIMIT 5 FOR UPDATE"),
    "open_trades": ("exit_qualification", "SELECT FROM open_trades ORDER BY random() LIMIT 5 FOR UPDATE"),
    "exit_intents": ("exit_qualification", "SELECT FROM exit_intents ORDER BY random() LIMIT 5 FOR UPDATE"),
    "outbox_sequence": ("exit_qualification", "SELECT FROM outbox_sequence ORDER BY random() LIMIT 2 FOR UPDATE"),
}

log = logging.getLogger(__name__)
Undo = Callable[[], None]


class Faults:
    """Applies a schedule of faults to one stack.

    Parameters
    ----------
    running:
        Reads the stack's ``stack.json`` as it is now.
    disk:
        The file system of its data directory, if it can be filled.

    Attributes
    ----------
    diary:
        The log of faults, also of impossible ones, a line each.
    """

    def __init__(self, running: Callable[[], dict[str, Any]], workload: Workload, disk: SmallDisk | None) -> None:
        self._running = running
        self._workload = workload
        self._disk = disk
        first = running()
        self._admin_url = first["admin_database_url"]
        self._exit_url = first["exit_database_url"]
        self._producer = Producer({**producer_config(Target.of_stack(first).settings()), "message.timeout.ms": 10_000})
        self._undo: list[tuple[float, int, Undo]] = []
        self._order = count()
        self._began = time.monotonic()
        self.diary: list[str] = []

    def play(self, schedule: Sequence[Fault]) -> None:
        """Do every fault at its time and undo it when it is over; at the end nothing of them is left."""
        peace = threading.Event()
        self._began = time.monotonic()
        try:
            for fault in schedule:
                while (rest_s := self._began + fault.at_s - time.monotonic()) > 0:
                    self._undo_due()
                    peace.wait(min(rest_s, 0.1))
                self._do(fault)
            while self._undo:
                self._undo_due()
                peace.wait(0.1)
        finally:
            self._undo_due(float("inf"))
            self._producer.flush(1)

    def _do(self, fault: Fault) -> None:
        act = getattr(self, f"_{fault.kind}")
        try:
            undo: Undo | None = act(fault, random.Random(fault.dice))
        except (psycopg.Error, psutil.NoSuchProcess, KeyError, OSError, KafkaException) as error:
            # A target already taken away by another fault cannot be hit.
            self._note(f"{fault}: not done, {type(error).__name__}")
            return
        self._note(str(fault))
        if undo is not None:
            heapq.heappush(self._undo, (self._began + fault.at_s + fault.lasts_s, next(self._order), undo))

    def _note(self, line: str) -> None:
        self.diary.append(line)
        log.info(line)

    def _undo_due(self, now_s: float | None = None) -> None:
        now_s = time.monotonic() if now_s is None else now_s
        while self._undo and self._undo[0][0] <= now_s:
            _, _, undo = heapq.heappop(self._undo)
            # A connection held by a fault may have been ended by another.
            with contextlib.suppress(psycopg.Error, psutil.NoSuchProcess):
                undo()

    def _process(self, name: str) -> psutil.Process:
        return psutil.Process(self._running()["processes"][name])

    def _kill(self, fault: Fault, _: random.Random) -> None:
        self._process(fault.target).kill()

    def _end(self, fault: Fault, _: random.Random) -> None:
        self._process(fault.target).terminate()

    def _freeze(self, fault: Fault, _: random.Random) -> Undo:
        """Stop a process with all its children: a frozen server answers nothing at all."""
        parent = self._process(fault.target)
        return _freeze([parent, *parent.children(recursive=True)])

    def _freeze_postmaster(self, fault: Fault, _: random.Random) -> Undo:
        return _freeze([self._process(fault.target)])

    def _kill_backend(self, fault: Fault, dice: random.Random) -> None:
        backends = [each for each in self._process(fault.target).children() if "exitflow_" in "".join(each.cmdline())]
        if backends:
            dice.choice(backends).kill()

    def _terminate_backends(self, _: Fault, dice: random.Random) -> None:
        with self._admin() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND random() < %s",
                (dice.choice((0.3, 1.0)),),
            )

    def _lock_rows(self, fault: Fault, _: random.Random) -> Undo:
        schema, statement = _ROWS[fault.target]
        return self._transaction(schema, statement)

    def _leave_transaction_open(self, fault: Fault, _: random.Random) -> Undo:
        return self._transaction(fault.target, "SELECT pg_current_xact_id()")

    def _transaction(self, schema: str, statement: str) -> Undo:
        connection = psycopg.connect(self._admin_url, connect_timeout=_CONNECT_LIMIT_S)
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
        connection.execute("SET lock_timeout = '2s'")
        connection.execute(statement.encode())
        return connection.close

    def _use_up_connections(self, _: Fault, __: random.Random) -> Undo:
        held = contextlib.ExitStack()
        with contextlib.suppress(psycopg.OperationalError):
            for _number in range(CONNECTIONS_AT_MOST):
                held.enter_context(
                    contextlib.closing(psycopg.connect(self._exit_url, connect_timeout=_CONNECT_LIMIT_S))
                )
        return held.close

    def _fill_disk(self, fault: Fault, _: random.Random) -> Undo | None:
        if self._disk is None:
            self._note(f"{fault}: not done, the data directory is not on a disk of its own")
            return None
        self._disk.fill()
        return self._disk.free

    def _shift_stamps(self, _: Fault, dice: random.Random) -> Undo:
        self._workload.stamp_shift_s = dice.choice((-60.0, -5.0, 5.0, 50.0))

        def back() -> None:
            self._workload.stamp_shift_s = 0.0

        return back

    def _throw_records(self, fault: Fault, dice: random.Random) -> None:
        values = (
            b"",
            b"\x00\xff not json",
            b"[" * 5000,
            b'{"symbol":"NSE:HOT","ltp":"1e1000000","ts":"2026-01-13T09:15:00Z","seq":1}',
            b'{"trade_id":"' + b"x" * OVERSIZED_BYTES + b'"}',
        )
        kinds: tuple[Headers, ...] = (
            [],
            [("ce_id", b"not a uuid"), ("ce_type", b"io.exitflow.ExitIntentFilled.v1")],
            [("ce_type", b"io.exitflow.TradeOpened.v1"), ("ce_sequence", b"\xff")],
        )
        headers = dice.choice(kinds)
        for value in dice.sample(values, 3):
            key = f"{FOREIGN_KEY}{dice.randrange(1000)}"
            self._producer.produce(fault.target, key=key, value=value, headers=headers)
        self._producer.poll(0)

    @contextlib.contextmanager
    def _admin(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self._admin_url, autocommit=True, connect_timeout=_CONNECT_LIMIT_S) as connection:
            yield connection


def _freeze(processes: Sequence[psutil.Process]) -> Undo:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)

    def thaw() -> None:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    return thaw
