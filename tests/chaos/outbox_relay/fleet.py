"""Relay processes to be killed, stopped, ended and replaced, and the possible cost in repetitions."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shared.settings import Settings
from tests.integration.outbox_relay.relays import relay_process
from tests.support.product_process import ProductProcess
from tests.support.waiting import LIMIT_S

_SESSION_LOST = b"WARNING services.outbox_relay.relay"


class Fleet:
    """So many places, a relay process in each."""

    def __init__(self, settings: Settings, log_file: Path, places: int) -> None:
        self._settings = settings
        self._log_file = log_file
        self._places = places
        self._started = ExitStack()
        self._kills = 0
        self.relays: list[ProductProcess] = []

    def __enter__(self) -> Fleet:
        self.relays = [self._start() for _ in range(self._places)]
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def _start(self) -> ProductProcess:
        return self._started.enter_context(relay_process(self._settings, log_file=self._log_file))

    def kill(self, place: int) -> None:
        """SIGKILL, and a new one in its place."""
        self._kills += 1
        self.relays[place].kill()
        self.relays[place].wait()
        self.relays[place] = self._start()

    def end(self, place: int) -> None:
        """SIGTERM; the process must obey in time and without complaint."""
        self.relays[place].send_signal(signal.SIGTERM)
        status = self.relays[place].wait(LIMIT_S)
        # A process told before its start has no way to listen yet.
        assert status in (0, -signal.SIGTERM), f"a relay that was told to end did so with status {status}"

    def replace(self, place: int) -> None:
        """SIGTERM, and a new one in its place."""
        self.end(place)
        self.relays[place] = self._start()

    def wake(self, place: int) -> None:
        """SIGCONT; nothing to a running one."""
        self.relays[place].send_signal(signal.SIGCONT)

    def end_all(self) -> None:
        """SIGTERM, one after the other."""
        for place in range(self._places):
            self.end(place)

    def interruptions(self) -> int:
        """How often a relay lost its memory: killed by us, or began a new session by its own account."""
        return self._kills + self._log_file.read_bytes().count(_SESSION_LOST)

    def most_duplicates(self) -> int:
        """Allowed repetitions: at each interruption the events in flight and those not on record yet."""
        return 2 * self._settings.relay_batch_size * self.interruptions()


@contextmanager
def open_fleet(settings: Settings, log_file: Path, places: int) -> Iterator[Fleet]:
    """Relays at work; whichever live are killed at the end."""
    log_file.touch()
    with Fleet(settings, log_file, places) as fleet:
        yield fleet
