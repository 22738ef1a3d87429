"""Disturbances of the relays, one after the other and overlapping, each from the same seed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable

import psycopg

from tests.chaos.outbox_relay.fleet import Fleet

LONGEST_PEACE_S = 1.2
TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'relay' AND random() < %(share)s
"""


class Disturbance:
    """Kills, stops, ends and cuts off the relays of a fleet, and stops their broker, until a time is over.

    Attributes
    ----------
    diary:
        The log of disturbances, a line each.
    """

    def __init__(self, fleet: Fleet, *, admin_url: str, broker_pid: int, lease_s: float, dice: random.Random) -> None:
        self._fleet = fleet
        self._admin_url = admin_url
        self._broker_pid = broker_pid
        self._lease_s = lease_s
        self._dice = dice
        self._halted: dict[Callable[[], None], float] = {}
        self._began_at = time.monotonic()
        self.diary: list[str] = []

    def go_on_for(self, duration_s: float) -> None:
        """Disturb for so many seconds, then wake whatever stands still."""
        peace = threading.Event()
        deadline = time.monotonic() + duration_s
        try:
            while time.monotonic() < deadline:
                self._disturb()
                peace.wait(self._dice.uniform(0.1, LONGEST_PEACE_S))
                self._wake_those_due(time.monotonic())
        finally:
            self._wake_those_due(float("inf"))

    def _disturb(self) -> None:
        acts = [self._kill, self._replace, self._halt_past_the_lease, self._blink, self._cut_off, self._halt_broker]
        act = self._dice.choices(acts, [5, 3, 5, 2, 4, 1])[0]
        place = self._dice.randrange(len(self._fleet.relays))
        self.diary.append(f"{time.monotonic() - self._began_at:6.2f} s {act.__name__.strip('_')} {place}")
        act(place)

    def _kill(self, place: int) -> None:
        self._fleet.kill(place)

    def _replace(self, place: int) -> None:
        self._fleet.wake(place)
        self._fleet.replace(place)

    def _halt_past_the_lease(self, place: int) -> None:
        self._halt(place, self._lease_s * self._dice.uniform(1.2, 2.5))

    def _blink(self, place: int) -> None:
        self._halt(place, self._lease_s * self._dice.uniform(0.1, 0.7))

    def _halt(self, place: int, halt_s: float) -> None:
        relay = self._fleet.relays[place]
        relay.send_signal(signal.SIGSTOP)
        self._halted[lambda: relay.send_signal(signal.SIGCONT)] = time.monotonic() + halt_s

    def _cut_off(self, place: int) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as admin:
            admin.execute(TERMINATE, {"share": self._dice.choice((0.4, 1.0))})

    def _halt_broker(self, place: int) -> None:
        os.kill(self._broker_pid, signal.SIGSTOP)
        halt_s = self._dice.uniform(0.2, 2.0)
        self._halted[lambda: os.kill(self._broker_pid, signal.SIGCONT)] = time.monotonic() + halt_s

    def _wake_those_due(self, now_s: float) -> None:
        for wake in [wake for wake, due_s in self._halted.items() if due_s <= now_s]:
            del self._halted[wake]
            wake()
