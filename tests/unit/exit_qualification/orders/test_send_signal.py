"""Wake-up of senders: a notification is answered at once and without a query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from services.exit_qualification.orders.sending.send_signal import BUSY_WAIT_S, SendSignal
from shared.errors import Unavailable

POLL_S = 600.0


@dataclass
class FakeClock:
    """Monotonic time as the pauses of the signal let it pass."""

    at: float = 1000.0

    def monotonic(self) -> float:
        return self.at


@dataclass
class Scene:
    """A signal with scripted queries and pauses."""

    clock: FakeClock = field(default_factory=FakeClock)
    dues: list[float | None] = field(default_factory=list)
    queries: int = 0
    pauses: list[float] = field(default_factory=list)
    notified: Callable[[], bool] = lambda: False

    def ask(self) -> float | None:
        self.queries += 1
        return self.dues.pop(0) if self.dues else None

    def pause(self, limit_s: float) -> bool:
        self.pauses.append(limit_s)
        if self.notified():
            return True
        self.clock.at += limit_s
        return False


@pytest.fixture
def scene() -> Scene:
    return Scene()


def signal_of(scene: Scene) -> SendSignal:
    return SendSignal(scene.ask, scene.pause, POLL_S, scene.clock)  # type: ignore[arg-type]  # only monotonic


def rings(signal: SendSignal) -> int:
    """Count the rings for a sender now."""
    answered: list[bool] = []

    def execute_next() -> bool:
        answered.append(True)
        return False

    if signal._rung:
        signal.answering(execute_next)()
    return len(answered)


def test_a_notification_wakes_a_sender_without_a_query(scene: Scene) -> None:
    signal = signal_of(scene)
    signal.look()
    assert (scene.queries, rings(signal)) == (1, 0), "nothing waits at the start"
    scene.notified = lambda: True
    scene.clock.at -= POLL_S / 2
    signal.look()
    assert (scene.queries, rings(signal)) == (1, 1), "the poll is minutes away"


def test_what_a_notification_leaves_is_asked_a_moment_later(scene: Scene) -> None:
    signal = signal_of(scene)
    signal.look()
    scene.clock.at -= POLL_S - 1.0
    scene.notified = lambda: True
    signal.look()
    scene.notified = lambda: False
    scene.dues = [7.0]
    signal.look()
    assert scene.pauses[-1] == pytest.approx(BUSY_WAIT_S)
    signal.look()
    assert scene.queries == 2
    assert scene.pauses[-1] == pytest.approx(7.0), "an exit waits for its time, and nothing is asked before"


def test_a_wait_that_failed_may_have_missed_a_notification(scene: Scene) -> None:
    signal = signal_of(scene)

    def failing() -> bool:
        raise Unavailable("the connection that listens is lost")

    scene.notified = failing
    with pytest.raises(Unavailable):
        signal.look()
    scene.notified, scene.dues = lambda: False, [0.0]
    signal.look()
    assert (scene.queries, rings(signal)) == (2, 1)


@pytest.mark.parametrize(("is_any", "is_more", "queries"), [(True, False, 1), (True, True, 1), (False, True, 2)])
def test_only_exits_that_no_sender_can_claim_are_asked_for(
    scene: Scene, is_any: bool, is_more: bool, queries: int
) -> None:
    signal = signal_of(scene)
    signal.look()
    scene.clock.at -= POLL_S / 2
    scene.notified = lambda: True
    signal.look()
    signal.claimed(is_any, is_more)
    scene.notified, scene.dues = lambda: False, [7.0]
    for _ in range(2):
        signal.look()
    assert scene.queries == queries
    if is_any and is_more:
        signal.claimed(is_any=False, is_more=True)
        signal.look()
        assert scene.queries == queries + 1, "the senders have come to an end"


def test_due_exit_wakes_sender_without_immediate_repeat(scene: Scene) -> None:
    scene.dues = [0.0]
    signal = signal_of(scene)
    signal.look()
    assert (scene.queries, rings(signal)) == (1, 1)
    signal.claimed(is_any=True, is_more=True)
    for _ in range(5):
        signal.look()
    assert scene.queries == 1
